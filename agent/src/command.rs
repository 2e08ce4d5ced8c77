//! What the person in front of the screen asked for. Views only say it; `app` does it.

use pinkas_protocol::{CallId, CustomerKey, Number, OwnState, Private, Written};
use uuid::Uuid;

use crate::links::Target;
use crate::model::login::{Keep, Secret};
use crate::settings::{Edge, Settings, Switch};

/// How far moving the pop-up is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Its head was taken hold of, at this point of the window, in tenths of a point.
    Begins {
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
    },
    /// The pointer moved.
    Goes,
    /// It was let go of.
    Ends,
}

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Of several customers on one number, this one is calling, or none of them: goes to the hub.
    Choose {
        /// On which call.
        call: CallId,
        /// Who it is; `None`: none of them.
        customer: Option<CustomerKey>,
    },
    /// Look for a customer for this call: opens the field.
    OpenFind(CallId),
    /// Look for this customer: goes to the hub.
    FindCustomer {
        /// For which call.
        call: CallId,
        /// Part of a name, a key or a number.
        text: Private<String>,
    },
    /// Look for nobody any more.
    CloseFind,
    /// The caller was identified in the conversation: goes to the hub.
    Identified {
        /// On which call.
        call: CallId,
        /// How, in the person's words.
        how: Private<String>,
    },
    /// Whether this person takes calls: goes to the hub.
    State(OwnState),
    /// Write this about a call: kept on this computer at once, then by the hub.
    Write {
        /// About which call.
        call: CallId,
        /// What.
        what: Written,
    },
    /// A note that is being typed reads so now; `""` forgets it. Kept on this computer within a second.
    Draft {
        /// On which call.
        call: CallId,
        /// All of it.
        text: Private<String>,
    },
    /// A caller who was missed has been spoken with.
    Handled(CallId),
    /// A follow-up is done.
    Done(Uuid),
    /// Send again what the hub refused.
    SendAgain(Uuid),
    /// Forget what the hub refused.
    Discard(Uuid),
    /// Show what is known of this call that is over, beside the list.
    Details(CallId),
    /// Only calls that are over with this number, customer's key or text; blank: every call.
    Find(Private<String>),
    /// Somebody looks at this page of calls that are over.
    Page(usize),
    /// A search that stopped on its way goes on.
    GoOn,
    /// Call this number with the person's own phone program.
    CallBack(Number),
    /// Open this page, which a source names, in the person's browser.
    Browse(Private<String>),
    /// Open what a button on the card is for: a page, or a program.
    Launch(Target),
    /// Take this call's card off the screen.
    Close(CallId),
    /// A field in the pop-up was clicked: what is typed goes there.
    TakeKeyboard,
    /// Nothing is written in the pop-up any more.
    GiveKeyboardBack,
    /// More time for what is left to do after this call.
    Extend(CallId),
    /// Put the pop-up at the other edge of the screen: it covers what is worked on. Where the person has put it
    /// elsewhere: back to the edge.
    Aside,
    /// The pop-up stands at this edge from now on, and nowhere else it was put.
    Edge(Edge),
    /// The person moves the pop-up by its head.
    Pull(Pull),
    /// The pop-up was let go of with its upper left corner here, in pixels of the whole desktop.
    Put {
        /// From the left.
        x: i32,
        /// From the top.
        y: i32,
    },
    /// Show this call's card again.
    Open(CallId),
    /// Bring the main window to the front.
    Raise,
    /// Take the card that is seen off the screen.
    CloseCard,
    /// Write in the note of the card that is seen.
    WriteNote,
    /// End the program.
    Quit,
    /// From now on these settings.
    Set(Settings),
    /// Start with the person's session from now on, or no more.
    Autostart(Switch),
    /// Log in with this secret; an empty one: with the one before once more.
    LogIn {
        /// As it was typed.
        secret: Secret,
        /// How long it is to be kept.
        keep: Keep,
    },
    /// Forget the secret, and ask for it again.
    LogOut,
}
