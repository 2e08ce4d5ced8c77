//! What can happen to calls, each played from start to end on a running phone system. A scenario waits
//! for what the phones see, never for time, so that it takes as long as it must and goes the same way on
//! a busy machine. What it returns is what truly happened, for tests that hear the phone system in some
//! way to compare with. Nothing here knows how anybody hears.

mod moves;
mod rings;
mod steps;
mod talks;

use std::net::SocketAddrV4;
use std::time::Duration;

use anyhow::bail;

use crate::lab::asterisk::{Asterisk, carrier_of, phone_of};
use crate::lab::handset::Handset;
use crate::lab::kamailio::Kamailio;

/// What happened to one call that a carrier brought, or (`internal`) that an agent made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// The caller's number as the carrier said it, withheld or not.
    pub number: String,
    /// The caller's name, likewise.
    pub name: String,
    /// The caller asked that neither be shown.
    pub withheld: bool,
    /// The number by which the carrier says the call was diverted to here.
    pub diverted_by: Option<String>,
    /// What was dialled.
    pub dialled: String,
    /// The queue that was dialled, if it was one.
    pub queue: Option<&'static str>,
    /// What happened, in order. The order among phones that ring, or stop ringing, at the same time means nothing.
    pub happened: Vec<Happened>,
    /// How it ended.
    pub ended: Ended,
}

/// One thing that happened; the number is the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// The caller waits in a queue while nobody's phone rings.
    Waits,
    /// The phone rings.
    Rings(u16),
    /// The agent refused.
    Declined(u16),
    /// The phone rang its time.
    NotAnswered(u16),
    /// The phone stopped ringing because a colleague answered.
    AnsweredElsewhere(u16),
    /// The phone stopped ringing because the caller hung up.
    CallerGone(u16),
    /// The agent's phone sent the call to another.
    Diverted {
        /// Whose phone.
        from: u16,
        /// To whom.
        to: u16,
    },
    /// The agent answered.
    Answered(u16),
    /// The agent put the caller on hold.
    Holds(u16),
    /// The agent took the caller back.
    Resumes(u16),
    /// The agent passed the caller on without asking and is out of the call.
    PassedOn {
        /// Who.
        from: u16,
        /// To whom.
        to: u16,
    },
    /// The agent, who has the caller on hold, calls a colleague about it. The colleague's ringing and answering follow.
    Asks {
        /// Who.
        from: u16,
        /// Whom.
        to: u16,
    },
    /// The agent put the caller through to the colleague and is out of the call.
    PutThrough {
        /// Who.
        from: u16,
        /// To whom.
        to: u16,
    },
    /// The phone system stopped.
    SystemStopped,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Answered; the caller hung up.
    ByCaller,
    /// Answered; this agent hung up.
    ByAgent(u16),
    /// Not answered; the caller gave up.
    Abandoned,
    /// Not answered; the phone system sent the caller away.
    SentAway,
    /// The phone system stopped in the middle of it.
    Lost,
}

/// A scenario. Those that not every phone system can play say so by the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Everybody rings, 102 answers, the caller hangs up. On Asterisk in the queue `support`.
    RingAllAnswered,
    /// Everybody rings, the caller gives up. Likewise.
    RingAllAbandoned,
    /// Everybody rings, 101 declines, the caller gives up. Likewise.
    Declined,
    /// Everybody rings for two seconds, then the phone system sends the caller away. On Asterisk in the queue `brief`.
    NoAnswer,
    /// The phone system sends the caller away at once: the queue `nobody` has no members.
    SentAway,
    /// Everybody is paused: the caller waits in the queue, nobody rings, the caller gives up.
    NobodyFree,
    /// Everybody declines; the queue rings everybody again a second later, and 102 answers.
    OfferedAgain,
    /// As `RingAllAnswered`, in a ring group that is no queue.
    GroupAnswered,
    /// As `RingAllAbandoned`, likewise.
    GroupAbandoned,
    /// As `Declined`, likewise.
    GroupDeclined,
    /// One agent after the other: 101 rings in vain, 102 answers and hangs up.
    Hunt,
    /// A caller who asked to stay unknown, though the carrier names the number to the phone system; 101 rings, the caller gives up.
    Withheld,
    /// A call that the carrier says another number diverted to here; 101 answers, the caller hangs up.
    Diverted,
    /// The phone of 101 sends the call to 102 (302), who answers; the caller hangs up.
    Forwarded,
    /// 101 rings, 103 picks the call up from there (*8101); the caller hangs up.
    PickedUp,
    /// 101 is called directly, answers and hangs up.
    Direct,
    /// 101 calls 102, who answers; 101 hangs up.
    Internal,
    /// A second caller rings 101, who talks, and gives up; the first call goes on and ends.
    SecondCall,
    /// A second caller rings 101, who talks: 101 holds the first, takes the second, who hangs up, and goes back to the first.
    CallWaiting,
    /// 101 answers, holds the caller, takes the caller back; the caller hangs up.
    Hold,
    /// 101 answers and passes the caller on to 103, who answers; the caller hangs up.
    BlindTransfer,
    /// 101 answers, holds the caller, calls 103 and puts the caller through; 103 hangs up.
    AttendedTransfer,
    /// 101 rings when the phone system loses its power; after the start a second call goes as `Direct`.
    StoppedAndStarted,
}

impl Scenario {
    /// What Asterisk can play: all of them.
    pub const ON_ASTERISK: [Scenario; 23] = [
        Scenario::RingAllAnswered,
        Scenario::RingAllAbandoned,
        Scenario::Declined,
        Scenario::NoAnswer,
        Scenario::SentAway,
        Scenario::NobodyFree,
        Scenario::OfferedAgain,
        Scenario::GroupAnswered,
        Scenario::GroupAbandoned,
        Scenario::GroupDeclined,
        Scenario::Hunt,
        Scenario::Withheld,
        Scenario::Diverted,
        Scenario::Forwarded,
        Scenario::PickedUp,
        Scenario::Direct,
        Scenario::Internal,
        Scenario::SecondCall,
        Scenario::CallWaiting,
        Scenario::Hold,
        Scenario::BlindTransfer,
        Scenario::AttendedTransfer,
        Scenario::StoppedAndStarted,
    ];

    /// What Kamailio can play.
    pub const ON_KAMAILIO: [Scenario; 16] = [
        Scenario::RingAllAnswered,
        Scenario::RingAllAbandoned,
        Scenario::Declined,
        Scenario::NoAnswer,
        Scenario::SentAway,
        Scenario::Hunt,
        Scenario::Withheld,
        Scenario::Diverted,
        Scenario::Direct,
        Scenario::Internal,
        Scenario::SecondCall,
        Scenario::CallWaiting,
        Scenario::Hold,
        Scenario::BlindTransfer,
        Scenario::AttendedTransfer,
        Scenario::StoppedAndStarted,
    ];

    /// Plays it to its end (0.1 to 3 s). `pbx` has the agents 101, 102 and 103, has no calls, and its
    /// phones are not played by anybody else; it is left so. An error is a scenario that went otherwise.
    pub async fn on_asterisk(self, pbx: &mut Asterisk) -> anyhow::Result<Vec<Played>> {
        let scene = Scene { pbx: pbx.sip(), all: "500", hunt: "620" };
        let group = Scene { pbx: pbx.sip(), all: "600", hunt: "620" };
        let mut played = match self {
            Scenario::RingAllAnswered => rings::ring_all_answered(&scene).await?,
            Scenario::RingAllAbandoned => rings::ring_all_abandoned(&scene).await?,
            Scenario::Declined => rings::declined(&scene).await?,
            Scenario::NoAnswer => rings::no_answer(&scene).await?,
            Scenario::SentAway => rings::sent_away(&scene).await?,
            Scenario::NobodyFree => rings::nobody_free(pbx, &scene).await?,
            Scenario::OfferedAgain => rings::offered_again(&scene).await?,
            Scenario::GroupAnswered => rings::ring_all_answered(&group).await?,
            Scenario::GroupAbandoned => rings::ring_all_abandoned(&group).await?,
            Scenario::GroupDeclined => rings::declined(&group).await?,
            Scenario::Hunt => rings::hunt(&scene).await?,
            Scenario::Withheld => rings::withheld(&scene).await?,
            Scenario::Diverted => rings::diverted(&scene).await?,
            Scenario::Forwarded => rings::forwarded(&scene).await?,
            Scenario::PickedUp => rings::picked_up(&scene).await?,
            Scenario::Direct => talks::direct(&scene).await?,
            Scenario::Internal => talks::internal(&scene).await?,
            Scenario::SecondCall => talks::second_call(&scene).await?,
            Scenario::CallWaiting => talks::call_waiting(&scene).await?,
            Scenario::Hold => talks::hold(&scene).await?,
            Scenario::BlindTransfer => moves::blind_transfer(&scene).await?,
            Scenario::AttendedTransfer => moves::attended_transfer(&scene).await?,
            Scenario::StoppedAndStarted => rings::stopped_and_started(pbx, &scene).await?,
        };
        for call in &mut played {
            call.queue = match call.dialled.as_str() {
                "500" => Some("support"),
                "530" => Some("brief"),
                "540" => Some("nobody"),
                _ => None,
            };
        }
        Ok(played)
    }

    /// The same on Kamailio; an error too where Kamailio cannot play it.
    pub async fn on_kamailio(self, pbx: &mut Kamailio) -> anyhow::Result<Vec<Played>> {
        let scene = Scene { pbx: pbx.sip(), all: "600", hunt: "610" };
        match self {
            Scenario::RingAllAnswered => rings::ring_all_answered(&scene).await,
            Scenario::RingAllAbandoned => rings::ring_all_abandoned(&scene).await,
            Scenario::Declined => rings::declined(&scene).await,
            Scenario::NoAnswer => rings::no_answer(&scene).await,
            Scenario::SentAway => rings::sent_away(&scene).await,
            Scenario::Hunt => rings::hunt(&scene).await,
            Scenario::Withheld => rings::withheld(&scene).await,
            Scenario::Diverted => rings::diverted(&scene).await,
            Scenario::Direct => talks::direct(&scene).await,
            Scenario::Internal => talks::internal(&scene).await,
            Scenario::SecondCall => talks::second_call(&scene).await,
            Scenario::CallWaiting => talks::call_waiting(&scene).await,
            Scenario::Hold => talks::hold(&scene).await,
            Scenario::BlindTransfer => moves::relayed_transfer(&scene).await,
            Scenario::AttendedTransfer => moves::relayed_attended_transfer(&scene).await,
            Scenario::StoppedAndStarted => rings::kamailio_stopped_and_started(pbx, &scene).await,
            Scenario::NobodyFree
            | Scenario::OfferedAgain
            | Scenario::GroupAnswered
            | Scenario::GroupAbandoned
            | Scenario::GroupDeclined
            | Scenario::Forwarded
            | Scenario::PickedUp => bail!("Kamailio cannot play {self:?}"),
        }
    }
}

/// Where a scenario is played: a phone system and its phones.
#[derive(Debug)]
struct Scene {
    pbx: SocketAddrV4,
    /// The number that rings every agent.
    all: &'static str,
    /// The number that rings one agent after the other.
    hunt: &'static str,
}

impl Scene {
    /// Lets a person take their time before doing anything. A phone system that tells only states
    /// (dialog events) tells none of those that last a few milliseconds.
    async fn person(&self) {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    /// An agent's phone.
    async fn phone(&self, agent: u16) -> anyhow::Result<Handset> {
        Handset::at(&agent.to_string(), phone_of(*self.pbx.ip(), agent), self.pbx).await
    }

    /// The phones of 101, 102 and 103.
    async fn phones(&self) -> anyhow::Result<[Handset; 3]> {
        Ok([self.phone(101).await?, self.phone(102).await?, self.phone(103).await?])
    }

    /// A carrier with a port of its own.
    async fn carrier(&self) -> anyhow::Result<Handset> {
        Handset::at("carrier", SocketAddrV4::new(carrier_of(*self.pbx.ip()), 0), self.pbx).await
    }
}
