//! The call that rings as a notification of the desktop, where the pop-up cannot be promised to stand on top (see
//! `window`): what it says, and what becomes of it as the call moves on. Pure; `bus` tells the desktop.

#[cfg(target_os = "linux")]
pub mod bus;

use pinkas_protocol::CallId;

use crate::views::popup::{Mood, PopupData};

/// What the desktop is to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// About which call.
    pub call: CallId,
    /// Who calls.
    pub title: String,
    /// What happens, from which number, and how far that can be trusted; plain text.
    pub body: String,
    /// What a click does.
    pub click: String,
    /// It rings, so it stays in sight; otherwise it goes by itself.
    pub rings: bool,
}

/// The notification that belongs to the card on the screen: while it rings here, and for the moment in which the card
/// says why it no longer does.
pub fn of(card: Option<&PopupData>) -> Option<Notice> {
    let card = card.filter(|card| card.rings || card.mood == Mood::Fading)?;
    let words = &card.words;
    let who = card.number.iter().cloned().chain(card.chips.iter().map(|chip| chip.text.clone()));
    let lines = [card.status.clone(), words.dots(who)].into_iter().chain(card.not_ready.clone());
    let lines = lines.chain(card.more.clone()).filter(|line| !line.is_empty());
    Some(Notice {
        call: card.call,
        title: card.name.clone(),
        body: lines.collect::<Vec<_>>().join("\n"),
        click: words.say("show-window"),
        rings: card.rings,
    })
}

/// A text as desktops that read markup in it want it (Desktop Notifications Specification, "Markup").
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            other => out.push(other),
        }
    }
    out
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Show this, in place of the notification with this number; 0: of none.
    Show(Notice, u32),
    /// Take this one away.
    Close(u32),
    /// All is as it should be.
    Nothing,
}

/// The one notification that is on the screen, and what the person did with it.
#[derive(Debug, Default)]
pub struct Shown {
    now: Option<(u32, Notice)>,
    /// The person wants to see no more of this call here.
    closed: Option<CallId>,
}

impl Shown {
    /// What has to be done for `wanted` to be what is seen.
    pub fn next(&self, wanted: Option<&Notice>) -> Deed {
        let wanted = wanted.filter(|notice| Some(notice.call) != self.closed);
        match (&self.now, wanted) {
            (Some((_, now)), Some(wanted)) if now == wanted => Deed::Nothing,
            // What no longer rings is told only of what was seen to ring.
            (None, Some(wanted)) if !wanted.rings => Deed::Nothing,
            (Some((id, now)), Some(wanted)) if !wanted.rings && now.call != wanted.call => Deed::Close(*id),
            (now, Some(wanted)) => Deed::Show(wanted.clone(), now.as_ref().map_or(0, |(id, _)| *id)),
            (Some((id, _)), None) => Deed::Close(*id),
            (None, None) => Deed::Nothing,
        }
    }

    /// The desktop shows it under this number.
    pub fn is_shown(&mut self, id: u32, notice: Notice) {
        if self.closed.is_some_and(|call| call != notice.call) {
            self.closed = None;
        }
        self.now = Some((id, notice));
    }

    /// What was asked to be taken away counts as gone.
    pub fn is_taken_away(&mut self) {
        self.now = None;
    }

    /// Whether this number is the one that is seen.
    pub fn has(&self, id: u32) -> bool {
        self.now.as_ref().is_some_and(|(now, _)| *now == id)
    }

    /// The desktop took it away without being asked: the person closed or clicked it, or it had its time.
    pub fn is_gone(&mut self, id: u32) {
        if self.has(id) {
            self.closed = self.now.take().map(|(_, notice)| notice.call);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use pinkas_protocol::card::Match;
    use pinkas_protocol::{Board, Who};

    use super::*;
    use crate::model::Model;
    use crate::sample::{self, at, call};

    fn notice(n: u128, body: &str, rings: bool) -> Notice {
        let (title, click) = ("Zofia".to_owned(), "Show".to_owned());
        Notice { call: call(n), title, body: body.to_owned(), click, rings }
    }

    #[test]
    fn a_notification_says_who_rings_from_where_and_then_why_it_stopped() {
        let mut model = Model::new(TimeZone::UTC);
        model.apply(sample::welcome(0, Board::default()));
        let now = |model: &Model, seconds| of(PopupData::now(model, at(seconds)).as_ref());
        assert_eq!(now(&model, 0), None);
        let customer = sample::customer("C-1", "Levi & <b>Sons</b>", Some("VIP"));
        let view = sample::arrived(call(1), "+48123456789", None, Who::Known { customer }, at(0));
        model.apply(sample::update(1, sample::rings_as(view, "101", at(0))));
        let rings = now(&model, 1).expect("a notification");
        assert_eq!((rings.title.as_str(), rings.rings), ("Levi & <b>Sons</b>", true));
        assert_eq!(rings.body, "Ringing on 101 · Support\n+48 12 345 67 89 · VIP");
        assert_eq!(now(&model, 2), Some(rings), "a clock that goes on is no news");
        model.apply(sample::update(3, sample::withdrawn(call(1), "101", Some("bea"))));
        let over = now(&model, 4).expect("why it stopped");
        assert!(!over.rings && over.body.starts_with("Answered"), "{over:?}");
        assert_eq!(now(&model, 60), None);
    }

    #[test]
    fn a_guess_is_called_a_guess() {
        let mut model = Model::new(TimeZone::UTC);
        model.apply(sample::welcome(0, Board::default()));
        let mut customer = sample::customer("C-1", "Harbour Street", None);
        customer.matched = Match::CompanyNumber;
        let who = Who::Known { customer };
        let view = sample::arrived(call(1), "+48123456789", None, who, at(0));
        model.apply(sample::update(1, sample::rings_as(view, "101", at(0))));
        let body = of(PopupData::now(&model, at(1)).as_ref()).map(|notice| notice.body);
        assert!(body.as_ref().is_some_and(|body| body.contains("guess")), "{body:?}");
    }

    #[test]
    fn the_notification_is_replaced_as_the_call_moves_on_and_taken_away_when_it_is_over() {
        let mut shown = Shown::default();
        let (first, filled, over) = (notice(1, "a", true), notice(1, "b", true), notice(1, "c", false));
        assert_eq!(shown.next(Some(&over)), Deed::Nothing, "nobody saw it ring");
        assert_eq!(shown.next(Some(&first)), Deed::Show(first.clone(), 0));
        shown.is_shown(7, first.clone());
        assert_eq!(shown.next(Some(&first)), Deed::Nothing);
        assert_eq!(shown.next(Some(&filled)), Deed::Show(filled.clone(), 7));
        shown.is_shown(7, filled);
        assert_eq!(shown.next(Some(&over)), Deed::Show(over, 7));
        assert_eq!(shown.next(None), Deed::Close(7));
        assert_eq!(shown.next(Some(&notice(2, "z", false))), Deed::Close(7), "of another call only the end");
        shown.is_taken_away();
        assert_eq!(shown.next(None), Deed::Nothing);
    }

    #[test]
    fn what_the_person_closed_comes_back_only_with_another_call() {
        let mut shown = Shown::default();
        shown.is_shown(7, notice(1, "a", true));
        shown.is_gone(6);
        assert!(shown.has(7), "that was another program's");
        shown.is_gone(7);
        assert_eq!(shown.next(Some(&notice(1, "b", true))), Deed::Nothing);
        let next = notice(2, "c", true);
        assert_eq!(shown.next(Some(&next)), Deed::Show(next.clone(), 0));
        shown.is_shown(8, next);
        assert_eq!(shown.next(Some(&notice(1, "b", true))), Deed::Show(notice(1, "b", true), 8));
    }

    #[test]
    fn markup_in_a_name_is_text() {
        assert_eq!(escaped("<a href='x'>Levi</a> & Sons"), "&lt;a href='x'&gt;Levi&lt;/a&gt; &amp; Sons");
        assert_eq!(escaped("דוד כהן"), "דוד כהן");
    }
}
