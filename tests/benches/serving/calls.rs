//! The adapter's side: calls that arrive, ring at one phone, are answered and end, paced, each change sent as the
//! real adapter sends it.

use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::Timestamp;
use pinkas_link::{HubUrl, Link};
use pinkas_protocol::adapter_link::{AdapterSays, HubToAdapter};
use pinkas_protocol::call::{CallChange, CallFacts, Caller, EndedHow, LineEvent, LineState};
use pinkas_protocol::{AdapterId, CallEvent, CallId, Event, Line, Number, NumberPlan, Private, wire};
use tokio::time::Instant;
use uuid::Uuid;

use super::crowd::{Heard, Kind};
use super::house::{self, SECRET};

/// New calls in a second.
pub const RATE: u32 = 100;
/// How long a phone rings and people talk: short, so that all kinds of change come at the same rate.
const RINGS: Duration = Duration::from_micros(203_300);
const TALKS: Duration = Duration::from_micros(403_700);
const SOON: Duration = Duration::from_secs(30);

/// A link like an adapter's.
pub struct Phones {
    link: Link,
    sequence: u64,
    durable: u64,
    numbers: Vec<Number>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    due: Duration,
    call: CallId,
    agent: u32,
    kind: Kind,
}

impl Phones {
    /// Logs in, with an outbox of its own.
    pub async fn dial(hub: &HubUrl) -> anyhow::Result<Phones> {
        let mut link = Link::dial(hub, "/adapter").await?;
        let hello = AdapterSays::Hello {
            version: wire::VERSION,
            adapter: AdapterId::parse("main")?,
            secret: Private(SECRET.to_owned()),
            outbox: Uuid::now_v7(),
        };
        link.send(&hello).await?;
        let welcome: HubToAdapter = link.next().await?;
        ensure!(matches!(welcome, HubToAdapter::Welcome { durable: 0 }), "an outbox nobody had before");
        let plan = NumberPlan::default();
        let numbers = (0..1000).filter_map(|n| plan.read(&format!("+97254{n:07}"))).collect();
        Ok(Phones { link, sequence: 0, durable: 0, numbers })
    }

    /// Tells of every agent's phone, as an adapter does that has just subscribed to them.
    pub async fn lines(&mut self, agents: u32) -> anyhow::Result<()> {
        let lines = (0..agents).map(house::line).collect::<anyhow::Result<Vec<Line>>>()?;
        for part in lines.chunks(1000) {
            let last = part.last() == lines.last();
            self.link.feed(&AdapterSays::Lines { lines: part.to_vec(), last }).await?;
        }
        for line in lines {
            let event = LineEvent { line, heard_at: Timestamp::now(), state: LineState::Idle };
            self.feed(Event::Line(event)).await?;
        }
        self.link.flush().await?;
        self.all_durable().await
    }

    /// Calls for so long, at the phones of so many agents. All changes have been sent and are on the hub's disk when
    /// it returns; gives how late they were sent at most, as this machine has other work, too.
    pub async fn calls(&mut self, heard: &Heard, agents: u32, lasting: Duration) -> anyhow::Result<Duration> {
        let all = u64::from(RATE) * lasting.as_millis() as u64 / 1000;
        let mut steps = Vec::new();
        for n in 0..all {
            let due = Duration::from_secs(1) * u32::try_from(n)? / RATE;
            let (call, agent) = (CallId(Uuid::now_v7()), u32::try_from(n * 7919 % u64::from(agents))?);
            let step = |after, kind| Step { due: due + after, call, agent, kind };
            steps.push(step(Duration::ZERO, Kind::Rings));
            steps.push(step(RINGS, Kind::Answered));
            steps.push(step(RINGS + TALKS, Kind::Ended));
        }
        steps.sort_by_key(|step| step.due);
        let (began, mut late) = (Instant::now(), Duration::ZERO);
        for step in steps {
            self.listen_until(began + step.due).await?;
            late = late.max(began.elapsed().saturating_sub(step.due));
            if step.kind == Kind::Rings {
                self.arrives(step.call).await?;
            }
            let line = house::line(step.agent)?;
            let what = match step.kind {
                Kind::Rings => CallChange::Offered { line, passed_on_by: None },
                Kind::Answered => CallChange::Answered { line },
                Kind::Ended => CallChange::Ended { how: EndedHow::Completed },
            };
            heard.sends(step.call, step.kind);
            self.feed(change(step.call, what)).await?;
            self.link.flush().await?;
        }
        Ok(late)
    }

    /// So many calls as fast as the hub takes them.
    pub async fn flood(&mut self, calls: u32, agents: u32) -> anyhow::Result<()> {
        for n in 0..calls {
            let (call, line) = (CallId(Uuid::now_v7()), house::line(n % agents)?);
            self.arrives(call).await?;
            self.feed(change(call, CallChange::Offered { line: line.clone(), passed_on_by: None })).await?;
            self.feed(change(call, CallChange::Answered { line })).await?;
            self.feed(change(call, CallChange::Ended { how: EndedHow::Completed })).await?;
            if n % 16 == 15 {
                self.flush().await?;
            }
        }
        self.flush().await
    }

    async fn arrives(&mut self, call: CallId) -> anyhow::Result<()> {
        let number = self.numbers.get(self.sequence as usize % self.numbers.len()).cloned();
        let facts = CallFacts { caller: Caller { number, ..Caller::default() }, ..CallFacts::default() };
        self.feed(change(call, CallChange::Arrived(facts))).await
    }

    /// Waits until the hub has all of it on its disk.
    pub async fn all_durable(&mut self) -> anyhow::Result<()> {
        let until = Instant::now() + SOON;
        while self.durable < self.sequence {
            ensure!(Instant::now() < until, "{} of {} are on the hub's disk", self.durable, self.sequence);
            self.listen_once(until).await?;
        }
        Ok(())
    }

    /// Reads what the hub says until then: who does not read is cut off.
    pub async fn listen_until(&mut self, until: Instant) -> anyhow::Result<()> {
        while Instant::now() < until {
            self.listen_once(until).await?;
        }
        Ok(())
    }

    async fn listen_once(&mut self, until: Instant) -> anyhow::Result<()> {
        let Ok(said) = tokio::time::timeout_at(until, self.link.next::<HubToAdapter>()).await else {
            return Ok(());
        };
        if let HubToAdapter::Durable { sequence } = said.context("the adapter's link")? {
            self.durable = self.durable.max(sequence);
        }
        Ok(())
    }

    /// Sends one event with the next flush.
    async fn feed(&mut self, event: Event) -> anyhow::Result<()> {
        self.sequence += 1;
        Ok(self.link.feed(&AdapterSays::Event { sequence: self.sequence, event }).await?)
    }

    /// Sends what was fed, and takes what has come meanwhile.
    async fn flush(&mut self) -> anyhow::Result<()> {
        self.link.flush().await?;
        while let Some(said) = self.link.ready()? {
            if let HubToAdapter::Durable { sequence } = said {
                self.durable = self.durable.max(sequence);
            }
        }
        Ok(())
    }
}

fn change(call: CallId, change: CallChange) -> Event {
    Event::Call(CallEvent { call, heard_at: Timestamp::now(), change })
}
