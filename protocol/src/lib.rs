//! The words the Pinkas programs share: what a call is, what a viewer may see, what crosses a link.
//! Pure values only: no IO, no runtime, no clock. Everything here is parsed once at the door and can
//! then be trusted; nothing here is SIP-shaped (that stays inside the adapter).

pub mod adapter_link;
pub mod agent_link;
pub mod board;
pub mod call;
pub mod card;
pub mod close;
pub mod disagreement;
pub mod ids;
pub mod number;
pub mod person;
pub mod private;
pub mod record;
pub mod text;
pub mod wire;

pub use board::{Board, CallView, LineView, Offer, OfferState, Update, Who};
pub use call::{
    Attestation, CallChange, CallEvent, CallFacts, Caller, EndedHow, Event, LineEvent, LineState, Pause,
    PauseEvent, StirShaken, Verdict, Withdrawal,
};
pub use card::{Card, CardState, Customer, Facts, Failure, Gives, Money};
pub use disagreement::{Disagreement, Fact, Said, disagreements};
pub use ids::{
    AdapterId, AgentId, CallId, CustomerKey, Line, OutcomeCode, QueueName, ReasonCode, SourceName, TagName,
    TeamName,
};
pub use number::{Number, NumberPlan};
pub use person::{OwnState, PersonState, PersonView, Reason};
pub use private::Private;
pub use record::{Entry, FollowUp, Missed, PastCall, Written};
