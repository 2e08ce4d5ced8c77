//! Calls back, and opens pages that sources name: hands an address to the program that the person's system has
//! for it. A number is all that is put in, percent-encoded; nothing goes through a shell, nothing is waited for.

use std::str::FromStr;

use pinkas_protocol::Number;

/// What to write in a configuration where a [`Template`] is wanted.
pub const TEMPLATE_EXAMPLE: &str =
    "an address with {number} in it, such as \"tel:{number}\", \"sip:{number}@pbx.example\" or one of https";

/// An address with a place for a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(String);

impl Default for Template {
    fn default() -> Self {
        Template("tel:{number}".to_owned())
    }
}

impl FromStr for Template {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme).ok_or(())?;
        let whole = !text.contains(|c: char| c.is_whitespace() || c.is_control());
        let good = is_scheme(scheme) && whole && text.contains("{number}");
        good.then(|| Template(text.to_owned())).ok_or(())
    }
}

impl Template {
    /// The address that calls a number (RFC 3966 for `tel`); `None` for what is no number.
    pub fn address(&self, number: &Number) -> Option<String> {
        let mut encoded = String::new();
        for digit in number.key()?.chars() {
            match digit {
                '0'..='9' | '*' => encoded.push(digit),
                // A plus sign is a space to some readers of a query.
                '+' if self.0.starts_with("http") => encoded.push_str("%2B"),
                '+' => encoded.push('+'),
                '#' => encoded.push_str("%23"),
                _ => return None,
            }
        }
        Some(self.0.replace("{number}", &encoded))
    }
}

/// Whether an address of this scheme may be opened: one letter is a drive of Windows, and a file is neither a phone
/// nor a page.
pub(crate) fn is_scheme(scheme: &str) -> bool {
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    named && scheme.len() > 1 && !scheme.eq_ignore_ascii_case("file")
}

/// Whether it is a scheme of the web.
pub(crate) fn is_web(scheme: &str) -> bool {
    ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web))
}

/// Calls a number with the person's own phone program.
pub fn call(template: &Template, number: &Number) {
    let Some(address) = template.address(number) else { return };
    // The error may quote the address, which holds the number.
    if let Err(e) = open::that_detached(address) {
        tracing::warn!("no program was found to call back with (`call_back`): {:?}", e.kind());
    }
}

/// Whether a source's address may be opened: a page of the web, never a file or another program's address.
pub fn is_page(address: &str) -> bool {
    let page = ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme));
    page && !address.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// Opens a page in the person's browser.
pub fn browse(page: &str) {
    if !is_page(page) {
        return;
    }
    if let Err(e) = open::that_detached(page) {
        tracing::warn!("no browser was found: {:?}", e.kind());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::number;

    #[test]
    fn the_number_is_all_that_is_put_into_an_address() {
        let check = |template: &str, called: Number, expected: Option<&str>| {
            let template: Template = template.parse().expect("a template");
            assert_eq!(template.address(&called).as_deref(), expected);
        };
        check("tel:{number}", number("+48123456789"), Some("tel:+48123456789"));
        check("sip:{number}@pbx", number("101"), Some("sip:101@pbx"));
        check("https://x/?call={number}", number("+48123"), Some("https://x/?call=%2B48123"));
        check("tel:{number}", Number::Extension { digits: "*12#".to_owned() }, Some("tel:*12%23"));
        for hostile in ["1 & calc", "1;x", "1`x`", "$(x)", "1\"", "../1"] {
            check("tel:{number}", Number::Extension { digits: hostile.to_owned() }, None);
        }
        check("tel:{number}", Number::Other { text: "bob@pbx".to_owned() }, None);
    }

    #[test]
    fn only_pages_are_opened() {
        assert!(is_page("https://crm.example/7?a=b") && is_page("http://127.0.0.1/"));
        for wrong in ["file:///etc/passwd", "javascript:alert(1)", "calc.exe", "https://a b", "", "-help"] {
            assert!(!is_page(wrong), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_address_with_a_number_is_refused() {
        for wrong in
            ["", "tel:", "{number}", "C:\\x{number}", "file:///{number}", "a b:{number}", "tel:{number} x"]
        {
            assert!(wrong.parse::<Template>().is_err(), "{wrong}");
        }
    }
}
