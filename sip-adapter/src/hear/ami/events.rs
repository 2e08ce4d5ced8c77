//! What each kind of manager event says. The reading side of [`super::tracker`]; pure.

use pinkas_protocol::{Line, QueueName};

use super::channel::{DialEnd, Role, Shows, State};
use super::lines::{Source, device_word, hint_status};
use super::names::{Half, lines_of_device};
use super::packet::Packet;
use super::tracker::{Ask, Tracker, ask_whether_shown, clip};

impl Tracker {
    pub(super) fn take_event(&mut self, event: &str, packet: &Packet) {
        match event {
            "Newchannel" => self.new_channel(packet),
            "NewCallerid" => self.new_caller_id(packet),
            "CoreShowChannel" => self.listed_channel(packet),
            "DialBegin" | "DialState" | "DialEnd" => self.dial(packet),
            "AgentCalled" | "AgentConnect" | "AgentRingNoAnswer" => self.agent(event, packet),
            "QueueCallerJoin" => self.joins_queue(packet),
            "QueueEntry" => self.listed_in_queue(packet),
            "QueueCallerLeave" | "QueueCallerAbandon" => {
                if let Some(id) = self.see(packet, "") {
                    self.leave_queue(&id);
                }
            }
            "BridgeEnter" => self.enters_bridge(packet),
            "BridgeLeave" => {
                let id = self.see(packet, "");
                self.change(id, |channel| channel.bridge = None);
            }
            "Hold" | "Unhold" => {
                let id = self.see(packet, "");
                self.change(id, |channel| channel.hold = event == "Hold");
            }
            "HangupRequest" => self.hangs_up(packet),
            "Hangup" => {
                if let Some(id) = self.see(packet, "") {
                    self.end(&id, packet.known("Cause"));
                }
            }
            "BlindTransfer" => self.blind_transfer(packet),
            "AttendedTransfer" => self.attended_transfer(packet),
            "Pickup" => self.pickup(packet),
            "DeviceStateChange" => {
                let line = packet.known("Device").and_then(|device| self.followed_device(device));
                if let (Some(line), Some(state)) = (line, packet.known("State")) {
                    self.lines.state(line, Source::Device, device_word(state));
                }
            }
            "ExtensionStatus" => {
                let line = packet.known("Exten").and_then(|exten| self.followed(exten));
                if let (Some(line), Some(state)) = (line, packet.known("Status").and_then(hint_status)) {
                    self.lines.state(line, Source::Hint, state);
                }
            }
            "QueueMember" | "QueueMemberStatus" | "QueueMemberPause" | "QueueMemberPaused"
            | "QueueMemberAdded" => {
                if let Some((line, queue)) = self.member(packet) {
                    self.lines.member(line, queue, packet);
                }
            }
            "QueueMemberRemoved" => {
                if let Some((line, queue)) = self.member(packet) {
                    self.lines.removed(line, queue);
                }
            }
            _ => {
                let _noted = self.see(packet, "");
            }
        }
        if let (Some(id), Some("Complete")) = (packet.get("ActionID"), packet.get("EventList")) {
            self.list_came(id);
        }
    }

    pub(super) fn take_answer(&mut self, packet: &Packet) {
        let Some(action) = packet.get("ActionID") else { return };
        let value = packet.known("Value");
        let failed = packet.get("Response") != Some("Success");
        match action.split_once('-') {
            Some(("sync", _)) if failed => {
                self.resync.refused(action);
                self.all_is_new();
            }
            Some(("pres", id)) => {
                let shows = if failed { Shows::Withheld } else { Shows::read(value.unwrap_or_default()) };
                // A channel that already told it by an event keeps that.
                self.change(Some(id.to_owned()), |channel| {
                    if matches!(channel.shows, Shows::Asked(_)) {
                        channel.shows = shows;
                    }
                });
            }
            Some(("diverted", id)) if value.is_some() => {
                let Some(channel) = self.channels.get(id).map(|channel| channel.name.clone()) else { return };
                let number = value.and_then(|value| self.settings.rules.numbers.read(value));
                match self.call_of(id) {
                    // Two questions may be under way; the first answer that names someone counts.
                    Some(call) if !call.knows_who_diverted() => call.diverted = number,
                    _ => return,
                }
                let id = format!("divpres-{id}");
                self.ask.push(Ask { id, channel, variable: "REDIRECTING(from-pres)" });
            }
            Some(("divpres", id)) if value.is_some_and(|value| Shows::read(value) == Shows::Number) => {
                if let Some(call) = self.call_of(id)
                    && let Some(by) = call.diverted.take()
                {
                    call.facts.diverted_by = Some(by);
                }
                self.touch(id);
            }
            Some(("dialled", id)) => {
                let number = value.and_then(|value| self.dialled(value));
                if let Some(call) = self.call_of(id)
                    && call.facts.dialled.is_none()
                {
                    call.facts.dialled = number;
                }
                self.touch(id);
            }
            _ => {}
        }
    }

    fn new_channel(&mut self, packet: &Packet) {
        let Some(id) = self.see(packet, "") else { return };
        let role = match packet.get("ChannelStateDesc") {
            Some("Ring") => Role::Caller,
            Some("Down" | "Ringing") => Role::Called,
            _ => Role::Unknown,
        };
        self.change(Some(id.clone()), |channel| {
            if channel.role == Role::Unknown {
                channel.role = role;
            }
        });
        let came_in =
            self.channels.get(&id).is_some_and(|one| one.role == Role::Caller && one.half == Half::Whole);
        if !came_in {
            return;
        }
        let dialled = packet.known("Exten").and_then(|exten| self.dialled(exten));
        let mut known = dialled.is_some();
        if let Some(call) = self.call_of(&id) {
            known |= call.facts.dialled.is_some();
            call.facts.dialled = call.facts.dialled.take().or(dialled);
        }
        self.ask_about(&id);
        if !known {
            self.ask_for_dialled(&id);
        }
    }

    fn ask_for_dialled(&mut self, id: &str) {
        if let Some(channel) = self.channels.get(id) {
            let (id, channel) = (format!("dialled-{id}"), channel.name.clone());
            self.ask.push(Ask { id, channel, variable: "CALLERID(dnid)" });
        }
    }

    fn ask_about(&mut self, id: &str) {
        ask_whether_shown(&mut self.channels, &mut self.ask, id, self.now);
        self.ask_for_diverted(id);
    }

    fn ask_for_diverted(&mut self, id: &str) {
        if let Some(channel) = self.channels.get(id) {
            let (id, channel) = (format!("diverted-{id}"), channel.name.clone());
            self.ask.push(Ask { id, channel, variable: "REDIRECTING(from-num)" });
        }
    }

    fn listed_channel(&mut self, packet: &Packet) {
        let Some(id) = self.see(packet, "") else { return };
        let role = match packet.known("Application") {
            Some("AppDial" | "AppDial2" | "AppQueue") => Role::Called,
            Some("Dial" | "Queue" | "FollowMe") => Role::Caller,
            _ => Role::Unknown,
        };
        let talks = packet.known("BridgeId").is_some();
        self.change(Some(id.clone()), |channel| {
            if channel.role == Role::Unknown {
                channel.role = role;
            }
            channel.joined |= talks;
        });
        let root = packet.known("Uniqueid") == packet.known("Linkedid");
        if self.channels.get(&id).is_some_and(|channel| channel.is_caller(root)) {
            self.ask_about(&id);
            self.ask_for_dialled(&id);
        }
    }

    fn new_caller_id(&mut self, packet: &Packet) {
        let id = self.see(packet, "");
        let number = packet.known("CallerIDNum").map(clip);
        let name = packet.known("CallerIDName").map(clip);
        let shows = packet.known("CID-CallingPres").and_then(Shows::read_code);
        self.change(id, |channel| {
            (channel.number, channel.caller_name) = (number, name);
            if let Some(shows) = shows {
                channel.shows = shows;
            }
        });
    }

    fn dial(&mut self, packet: &Packet) {
        let dialler = self.see(packet, "");
        let Some(dialled) = self.see(packet, "Dest") else { return };
        let status = packet.known("DialStatus").unwrap_or_default();
        self.change(Some(dialled.clone()), |channel| {
            channel.role = Role::Called;
            channel.dialler = channel.dialler.take().or_else(|| dialler.clone());
            match status {
                "RINGING" => channel.state = channel.state.max(State::Ringing),
                "ANSWER" => (channel.state, channel.joined) = (State::Up, true),
                "BUSY" => channel.dial_end = Some(DialEnd::Busy),
                "NOANSWER" => channel.dial_end = channel.dial_end.or(Some(DialEnd::NoAnswer)),
                _ => {}
            }
        });
        if let Some(dialler) = dialler {
            self.join_channels(&dialler, &dialled);
            self.ask_again(&dialler);
        }
    }

    /// Asterisk tells of a channel before it has read who diverted the call: a quick question comes too early. By the
    /// time a phone is dialled it knows.
    fn ask_again(&mut self, dialler: &str) {
        if self.channels.get(dialler).is_none_or(|channel| channel.role != Role::Caller) {
            return;
        }
        let Some(call) = self.call_of(dialler) else { return };
        if call.knows_who_diverted() || std::mem::replace(&mut call.asked_again, true) {
            return;
        }
        self.ask_for_diverted(dialler);
    }

    fn agent(&mut self, event: &str, packet: &Packet) {
        let caller = self.see(packet, "");
        let queue = packet.known("Queue").and_then(|queue| QueueName::parse(queue).ok());
        if let Some(call) = caller.and_then(|id| self.call_of(&id))
            && queue.is_some()
        {
            call.facts.queue = queue;
        }
        let agent = self.see(packet, "Dest");
        self.change(agent, |channel| {
            channel.role = Role::Called;
            match event {
                "AgentConnect" => (channel.state, channel.joined) = (State::Up, true),
                "AgentRingNoAnswer" => channel.dial_end = channel.dial_end.or(Some(DialEnd::NoAnswer)),
                _ => {}
            }
        });
    }

    fn joins_queue(&mut self, packet: &Packet) {
        let Some(id) = self.see(packet, "") else { return };
        self.waits(&id, packet);
    }

    /// A queue's list names no Linkedid; the list of channels does, before or after.
    fn listed_in_queue(&mut self, packet: &Packet) {
        let Some(id) = packet.known("Uniqueid").map(clip) else { return };
        self.waits(&id, packet);
        self.resync.waiting.insert(id);
    }

    fn waits(&mut self, id: &str, packet: &Packet) {
        let position = packet.known("Position").and_then(|at| at.parse().ok()).unwrap_or(usize::MAX);
        let Some(queue) = packet.known("Queue").and_then(|queue| QueueName::parse(queue).ok()) else {
            return;
        };
        if let Some(call) = self.call_of(id) {
            call.facts.queue = Some(queue.clone());
        }
        self.join_queue(queue, id, position);
    }

    fn enters_bridge(&mut self, packet: &Packet) {
        let Some(id) = self.see(packet, "") else { return };
        let bridge = packet.known("BridgeUniqueid").map(clip);
        self.change(Some(id.clone()), |channel| {
            channel.joined |= channel.state == State::Up;
            channel.bridge.clone_from(&bridge);
        });
        // Who dialled in to take a parked call has it from here on, as if they had been called.
        let Some(call) = self.channels.get(&id).and_then(|channel| self.calls.get(&channel.call)) else {
            return;
        };
        let in_it = |id: &String| {
            self.channels.get(id).is_some_and(|one| one.bridge.is_some() && one.bridge == bridge)
        };
        if !call.caller.as_ref().is_some_and(in_it) {
            return;
        }
        let takers = call.live(&self.channels).filter(|(id, one)| {
            one.role == Role::Caller && one.line.is_some() && call.caller.as_ref() != Some(*id) && in_it(id)
        });
        let takers: Vec<String> = takers.map(|(id, _)| id.clone()).collect();
        for taker in takers {
            self.change(Some(taker), |channel| (channel.role, channel.joined) = (Role::Called, true));
        }
    }

    /// The far end of a channel hung up. Where that is the caller, nobody sent them away.
    fn hangs_up(&mut self, packet: &Packet) {
        let Some(id) = self.see(packet, "") else { return };
        // Quirk(asterisk 16, 22): a caller who is told "busy" hangs up in answer to it. Once one phone was
        // busy the same cause stands there when a caller gives up, but then other phones still ring.
        let channels = &self.channels;
        let call = channels.get(&id).and_then(|channel| self.calls.get(&channel.call));
        let rings = call.is_some_and(|call| call.rings_somewhere(channels));
        let sent_away = !rings
            && (matches!(packet.get("ChannelStateDesc"), Some("Busy"))
                || matches!(packet.known("Cause"), Some("17" | "19" | "21" | "34" | "38" | "42")));
        if let Some(call) = self.call_of(&id)
            && !sent_away
            && (call.caller.as_ref() == Some(&id) || call.caller.is_none())
        {
            call.gave_up = true;
        }
    }

    fn blind_transfer(&mut self, packet: &Packet) {
        let transferer = self.see(packet, "Transferer");
        let _noted = self.see(packet, "Transferee");
        if packet.get("Result") != Some("Success") {
            return;
        }
        let to = packet.known("Extension").and_then(|extension| self.followed(extension));
        self.passes_on(transferer, to);
    }

    fn attended_transfer(&mut self, packet: &Packet) {
        let orig = self.see(packet, "OrigTransferer");
        let second = self.see(packet, "SecondTransferer");
        let _noted = self.see(packet, "Transferee");
        let target = self.see(packet, "TransferTarget");
        if packet.get("Result") != Some("Success") {
            return;
        }
        let line = orig.as_ref().and_then(|id| self.channels.get(id)?.line.clone());
        // A target that still rings is not named: it is who the second call dialled.
        let target = target.or_else(|| {
            let call = self.calls.get(&self.channels.get(second.as_ref()?)?.call)?;
            let others = |id: &&String| {
                self.channels
                    .get(*id)
                    .is_some_and(|one| one.line.is_some() && one.line != line && one.is_phone(false))
            };
            call.channels.iter().find(others).cloned()
        });
        let to = target.as_ref().and_then(|id| self.channels.get(id)?.line.clone());
        if let (Some(orig), Some(second)) = (&orig, &second) {
            self.join_channels(orig, second);
        }
        self.passes_on(orig.or(second), to);
    }

    fn passes_on(&mut self, transferer: Option<String>, to: Option<Line>) {
        let Some(id) = transferer else { return };
        let Some(by) = self.channels.get(&id).and_then(|channel| channel.line.clone()) else { return };
        if let Some(call) = self.call_of(&id) {
            call.passed_on_by = Some(by.clone());
            call.moves.insert(by.clone(), to.filter(|to| *to != by));
        }
        self.touch(&id);
    }

    fn pickup(&mut self, packet: &Packet) {
        let picker = self.see(packet, "");
        let target = self.see(packet, "Target");
        self.change(picker.clone(), |channel| (channel.role, channel.joined) = (Role::Called, true));
        if let (Some(picker), Some(target)) = (picker, target) {
            self.join_channels(&target, &picker);
        }
    }

    fn join_channels(&mut self, one: &str, other: &str) {
        let call = |id: &str| self.channels.get(id).map(|channel| channel.call.clone());
        if let (Some(one), Some(other)) = (call(one), call(other)) {
            self.join(&one, &other);
        }
    }

    fn list_came(&mut self, action: &str) {
        self.resync.came(action);
        self.all_is_new();
    }

    /// What was held back until the lists were there is looked at now.
    fn all_is_new(&mut self) {
        if !self.resync.complete() {
            return;
        }
        for id in std::mem::take(&mut self.resync.waiting) {
            let place = self.queues.place(&id);
            match self.call_of(&id) {
                Some(call) => call.facts.queue = place.map(|(queue, _)| queue),
                // It hung up between the two lists.
                None => self.leave_queue(&id),
            }
        }
        let ids: Vec<String> = self.channels.keys().cloned().collect();
        for id in ids {
            self.touch(&id);
        }
    }

    fn change(&mut self, id: Option<String>, change: impl FnOnce(&mut super::channel::Channel)) {
        let Some(id) = id else { return };
        if let Some(channel) = self.channels.get_mut(&id) {
            change(channel);
            self.touch(&id);
        }
    }

    fn member(&self, packet: &Packet) -> Option<(Line, QueueName)> {
        let queue = QueueName::parse(packet.known("Queue")?).ok()?;
        let devices = ["StateInterface", "Interface", "Location"];
        let by_device =
            devices.iter().filter_map(|key| packet.known(key)).find_map(|d| self.followed_device(d));
        let by_name = || {
            let names = ["MemberName", "Name"];
            names.iter().filter_map(|key| packet.known(key)).find_map(|name| self.followed(name))
        };
        Some((by_device.or_else(by_name)?, queue))
    }

    fn followed_device(&self, device: &str) -> Option<Line> {
        let lines = lines_of_device(device, &self.settings.patterns);
        lines.into_iter().find(|line| self.settings.lines.contains(line))
    }

    fn followed(&self, name: &str) -> Option<Line> {
        self.settings.lines.get(name).cloned()
    }

    /// What was dialled, where it is a number and no name of the dialplan such as `s`.
    fn dialled(&self, exten: &str) -> Option<pinkas_protocol::Number> {
        let number = exten.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+');
        number.then(|| self.settings.rules.numbers.read(exten)).flatten()
    }
}
