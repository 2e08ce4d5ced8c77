//! Fuzzes `fuzz::hep::packet` of the adapter.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pinkas_sip_adapter::fuzz::hep::packet(bytes));
