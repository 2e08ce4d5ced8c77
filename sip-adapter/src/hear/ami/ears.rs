//! Whether the account may hear what happens: Asterisk tells nobody what their account may read, and one without
//! `read=call` logs in, asks and is answered, and never hears a call. It shows when calls come and go in the list of
//! channels and no event told of it. Pure.

use std::collections::BTreeSet;

use super::packet::Packet;
use super::tracker::MOST_CHANNELS;

/// The ActionID of the lists of channels that are asked for here alone.
pub(super) const LOOK: &str = "look";

/// What is known of what the account may hear.
#[derive(Debug, Default)]
pub(super) struct Ears {
    hears: bool,
    suspect: bool,
    before: Option<BTreeSet<String>>,
    listed: BTreeSet<String>,
}

/// What a packet showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    /// Calls came or went, and nothing was heard.
    Deaf,
}

impl Ears {
    /// Takes every packet of a connection.
    pub(super) fn take(&mut self, packet: &Packet) -> Shown {
        let Some(id) = packet.get("ActionID") else {
            let class =
                packet.get("Privilege").is_none_or(|all| all.contains("call") || all.contains("agent"));
            self.hears |= packet.event().is_some() && class;
            return Shown::Nothing;
        };
        if !matches!(id, LOOK | "sync-channels") {
            return Shown::Nothing;
        }
        if let (Some("CoreShowChannel"), Some(channel)) = (packet.event(), packet.known("Uniqueid"))
            && self.listed.len() < MOST_CHANNELS
        {
            self.listed.insert(channel.to_owned());
        }
        if packet.get("EventList") != Some("Complete") {
            return Shown::Nothing;
        }
        let listed = std::mem::take(&mut self.listed);
        // An event may overtake the list or come after it: only at the next list is it surely missing.
        let deaf = self.suspect && !self.hears;
        self.suspect |= self.before.as_ref().is_some_and(|before| *before != listed);
        self.before = Some(listed);
        if deaf { Shown::Deaf } else { Shown::Nothing }
    }

    /// Whether it has heard anything that nobody asked for.
    pub(super) fn hears(&self) -> bool {
        self.hears
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Decoder, Piece};
    use super::*;

    /// What the last packet of a connection showed.
    fn shown(text: &str) -> (Shown, bool) {
        let mut decoder = Decoder::default();
        decoder.push(text.as_bytes());
        let (mut ears, mut last) = (Ears::default(), Shown::Nothing);
        while let Some(piece) = decoder.next_piece() {
            if let Piece::Packet(packet) = piece {
                last = ears.take(&packet);
            }
        }
        (last, ears.hears())
    }

    fn list(id: &str, channels: &[&str]) -> String {
        let each = channels.iter().map(|channel| {
            format!("Event: CoreShowChannel\r\nActionID: {id}\r\nUniqueid: {channel}\r\n\r\n")
        });
        let end = format!("Event: CoreShowChannelsComplete\r\nActionID: {id}\r\nEventList: Complete\r\n\r\n");
        each.collect::<String>() + &end
    }

    #[test]
    fn an_account_that_hears_no_call_is_found_out_by_the_list_of_channels() {
        let quiet = [list("sync-channels", &["1"]), list(LOOK, &["1"]), list(LOOK, &["1"])].concat();
        assert_eq!(shown(&quiet), (Shown::Nothing, false), "nothing happened: nothing is known");
        let deaf = [list("sync-channels", &["1"]), list(LOOK, &["1", "2"]), list(LOOK, &["2"])].concat();
        assert_eq!(shown(&deaf), (Shown::Deaf, false));
        let event = &"Event: Newchannel\r\nPrivilege: call,all\r\nUniqueid: 2\r\n\r\n".to_owned();
        let late = [&list("sync-channels", &[]), &list(LOOK, &["2"]), event, &list(LOOK, &["2"])]
            .map(String::as_str)
            .concat();
        assert_eq!(shown(&late), (Shown::Nothing, true), "the event came after the list");
        let booted = "Event: FullyBooted\r\nPrivilege: system,all\r\n\r\n";
        assert_eq!(shown(booted), (Shown::Nothing, false), "that is no call");
    }
}
