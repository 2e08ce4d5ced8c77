//! Wires the network, the model and the windows. `logic` takes in what came and decides what pops, also
//! while the main window is hidden; `ui` shows. Nothing is drawn while nothing changes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use egui::{Context, Key, ViewportCommand, ViewportId};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pinkas_protocol::agent_link::AgentSays;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::autostart::Autostart;
use crate::command::Command;
use crate::config::Config;
use crate::drafts::folder::Folder;
use crate::drafts::keeper::Keeper;
use crate::keyring::{self, Keyring};
use crate::links::Opener;
use crate::model::Model;
use crate::model::login::{Attempt, Login};
use crate::net::{self, NetEvent, Pass};
use crate::notice;
use crate::outside::{self, Outside};
use crate::place::Stand;
use crate::settings::{Edge, Settings, SettingsFile, Switch};
use crate::sound::Player;
use crate::theme::Theme;
use crate::tray;
use crate::views::login::{self, Typed};
use crate::views::main_window::{self, Looks};
use crate::views::popup::{self, PopupData};
use crate::views::settings::{Machine, Offered};
use crate::window::{Bell, PopupWindow, Screens};
use crate::words::Words;
use crate::{dial, fonts, window};

/// The longest time one frame takes in events; the rest waits for the next frame.
const DRAIN_FOR: Duration = Duration::from_millis(10);
/// In pixels; every graphics library can hold it.
const WIDEST_TEXTURE: usize = 2048;
/// How often an age on the screen changes.
const TICK: Duration = Duration::from_secs(1);

/// Reads the configuration and shows the windows until the main one is closed.
pub fn start(config: Config) -> anyhow::Result<()> {
    let folder = Folder::of(&config);
    // A folder that cannot be locked is no reason to show no calls; the drafts tell what is wrong with it.
    let locked = folder.as_ref().ok().and_then(|folder| folder.lock().ok());
    if let Some(None) = locked {
        anyhow::bail!("the desktop of {} at {} is open already", config.agent, config.hub);
    }
    let made = eframe::run_native(
        "pinkas-agent",
        window::options(),
        Box::new(move |creation| Ok(Box::new(App::new(creation, config, folder)?))),
    );
    // eframe's error is not Sync, which anyhow wants.
    made.map_err(|e| {
        anyhow::anyhow!("no window could be opened: {}; use --headless where there is no screen", why(&e))
    })
}

/// Without the place in a library's source that the errors of winit begin with.
fn why(error: &eframe::Error) -> String {
    match error {
        eframe::Error::Winit(_) | eframe::Error::WinitEventLoop(_) => {
            "there is no screen that can be reached (`DISPLAY` names one)".to_owned()
        }
        other => other.to_string(),
    }
}

fn theme(settings: &Settings) -> Theme {
    Theme::of(settings.shade).read(settings.language.direction())
}

struct App {
    model: Model,
    theme: Theme,
    settings: Settings,
    file: SettingsFile,
    player: Player,
    autostart: Option<Autostart>,
    machine: Machine,
    looks: Looks,
    popup: PopupWindow,
    outside: Outside,
    events: mpsc::Receiver<NetEvent>,
    wishes: mpsc::Receiver<Command>,
    says: mpsc::Sender<AgentSays>,
    call_back: dial::Template,
    opener: Opener,
    /// Gone only once the window is closed.
    keeper: Option<Keeper>,
    /// Absent where the configuration names the secret.
    keyring: Option<Keyring>,
    /// What the link logs in with, where it is asked for.
    attempt: watch::Sender<Option<Attempt>>,
    typed: Typed,
    stop: CancellationToken,
    /// The person wants the program to end, not only its window to go.
    quits: bool,
}

impl App {
    fn new(
        creation: &eframe::CreationContext<'_>,
        mut config: Config,
        folder: Result<Folder, String>,
    ) -> anyhow::Result<Self> {
        let ctx = &creation.egui_ctx;
        fonts::install(ctx);
        let (call_back, shortcuts) = (config.call_back.clone(), config.shortcuts);
        let links = std::mem::take(&mut config.links);
        let file = SettingsFile::new(&config.data, config.settings);
        let (settings, places) = file.load();
        let player = Player::new(config.sound.clone());
        let autostart = Autostart::of(&config.file);
        let machine = Machine {
            sound: if player.has_sound() { Offered::Yes } else { Offered::No },
            autostart: autostart.as_ref().map(Autostart::now),
            session: outside::SESSION,
            stand: Stand::default(),
        };
        let theme = theme(&settings);
        theme.apply(ctx);
        let (out, events) = mpsc::channel(net::MOST_EVENTS);
        let (says, says_out) = mpsc::channel(net::MOST_SAID);
        let (popup_wishes, wishes) = mpsc::channel(net::MOST_SAID);
        let stop = CancellationToken::new();
        let screen = ctx.clone();
        let wake: net::Wake = Arc::new(move || screen.request_repaint());
        let keeper = Keeper::start(folder, wake.clone())?;
        let (attempt, asked) = watch::channel(None);
        let (pass, keyring, login) = match config.secret.take() {
            Some(secret) => (Pass::Configured(secret), None, Login::configured()),
            None => {
                let (who, hub) = (config.agent.to_string(), config.hub.to_string());
                let name = keyring::Name { hub: hub.clone(), who: who.clone() };
                let keyring = Keyring::start(name, wake.clone())?;
                (Pass::Asked(asked), Some(keyring), Login::asked(who, hub, Timestamp::now()))
            }
        };
        net::spawn(config, pass, out, says_out, wake.clone(), stop.clone())
            .context("the network thread did not start")?;
        // The number tables take a tenth of a second to load: better now than at the first call.
        std::thread::Builder::new().name("warm up".to_owned()).spawn(pinkas_protocol::number::warm_up)?;
        let screens = Screens::of(creation.winit_window());
        let popup = PopupWindow::new(theme, (settings.edge, places), screens, popup_wishes);
        let mut model = Model::new(TimeZone::system());
        model.words = Words::of(settings.language);
        model.habits = settings.habits;
        model.links = links;
        *model.login_mut() = login;
        Ok(App {
            model,
            theme,
            settings,
            file,
            player,
            autostart,
            machine,
            looks: Looks::default(),
            popup,
            outside: Outside::new(wake, &shortcuts),
            events,
            wishes,
            says,
            call_back,
            opener: Opener::default(),
            keeper: Some(keeper),
            keyring,
            attempt,
            typed: Typed::default(),
            stop,
            quits: false,
        })
    }

    /// Takes in what came, at most [`DRAIN_FOR`] at a time; whether something is left.
    fn drain(&mut self) -> bool {
        let until = Instant::now() + DRAIN_FOR;
        while let Ok(event) = self.events.try_recv() {
            self.model.apply(event);
            if Instant::now() >= until {
                return true;
            }
        }
        while let Some(said) = self.keeper.as_mut().and_then(|keeper| keeper.said.try_recv().ok()) {
            self.model.drafts_mut().disk_said(said);
        }
        while let Some(said) = self.keyring.as_mut().and_then(|keyring| keyring.said.try_recv().ok()) {
            self.model.login_mut().keyring_says(said);
        }
        false
    }

    /// Hands the disk and the link what they are to do next; what they do not take now is asked for again
    /// when they answer.
    fn hand_out(&mut self, ctx: &Context, now: Timestamp) {
        while let (Some(keeper), Some(job)) = (&self.keeper, self.model.drafts_mut().next_job(now)) {
            if let Err(job) = keeper.ask(job) {
                self.model.drafts_mut().not_taken(job, now);
                ctx.request_repaint_after(TICK);
                break;
            }
        }
        if let Some(said) = self.model.wrap_up_to_tell(now) {
            self.tell(said);
        }
        self.hand_out_login(ctx, now);
        while let Some(said) = self.model.next_told() {
            if let Err(refused) = self.says.try_send(said) {
                self.model.not_told(&refused.into_inner());
                ctx.request_repaint_after(TICK);
                break;
            }
        }
        if let Some(due) = self.model.drafts().next_due() {
            wake_at(ctx, now, due);
        }
    }

    fn hand_out_login(&mut self, ctx: &Context, now: Timestamp) {
        if let (Some(keyring), Some(job)) = (&self.keyring, self.model.login_mut().next_job())
            && let Err(job) = keyring.ask(job)
        {
            self.model.login_mut().not_taken(job);
            ctx.request_repaint_after(TICK);
        }
        let wanted = self.model.login().attempt();
        self.attempt.send_if_modified(|attempt| {
            let other = attempt.as_ref() != wanted;
            if other {
                *attempt = wanted.cloned();
            }
            other
        });
        if let Some(at) = self.model.login().changes_at(now) {
            wake_at(ctx, now, at);
        }
    }

    /// Tells the hub what outlives no reconnect but the one under way.
    fn tell(&self, said: AgentSays) {
        if self.says.try_send(said).is_err() {
            tracing::warn!("something was not sent: too much waits for the hub already");
        }
    }

    fn obey(&mut self, ctx: &Context, now: Timestamp, wish: Command) {
        // Version 7 sorts what was written by the time it was written.
        let id = Uuid::now_v7();
        let drafts = self.model.drafts_mut();
        match wish {
            Command::Write { call, what } => drafts.enter(id, now, AgentSays::Write { id, call, what }),
            Command::Handled(row) => drafts.enter(id, now, AgentSays::Handled { id, row }),
            Command::Done(follow_up) => drafts.enter(id, now, AgentSays::Done { id, follow_up }),
            Command::Draft { call, text } => drafts.type_text(call, &text.0, now),
            Command::SendAgain(id) => drafts.send_again(id),
            Command::Discard(id) => drafts.discard(id),
            Command::Choose { call, customer } => self.tell(AgentSays::Choose { call, customer }),
            Command::OpenFind(call) => self.model.find_mut().open(call),
            Command::FindCustomer { call, text } => {
                let asks = self.model.find_mut().ask(call, text);
                self.tell(asks);
            }
            Command::CloseFind => self.model.find_mut().close(),
            Command::Identified { call, how } => self.tell(AgentSays::Identified { call, how }),
            Command::State(state) => self.tell(AgentSays::State { state }),
            Command::CallBack(number) => dial::call(&self.call_back, &number),
            Command::Browse(page) => dial::browse(&page.0),
            Command::Launch(target) => self.opener.open(&target),
            Command::Details(call) => {
                // The board knows it, or it is asked for.
                if !self.model.board.calls.contains_key(&call) {
                    self.model.past_mut().open(call);
                }
            }
            Command::Find(text) => self.model.past_mut().find(&text.0),
            Command::Page(page) => self.model.past_mut().want(page),
            Command::GoOn => self.model.past_mut().go_on(),
            Command::Close(call) => self.model.close(call),
            Command::Open(call) => self.model.open(call),
            Command::Raise => window::raise(ctx),
            Command::CloseCard => {
                if let Some(call) = self.model.pop(now).map(|pop| pop.view.id) {
                    self.model.close(call);
                }
            }
            Command::WriteNote => self.popup.write_note(ctx),
            Command::Quit => {
                self.quits = true;
                ctx.send_viewport_cmd_to(ViewportId::ROOT, ViewportCommand::Close);
            }
            Command::TakeKeyboard => self.popup.take_keyboard(ctx),
            Command::GiveKeyboardBack => self.popup.give_keyboard_back(),
            Command::Extend(call) => self.model.extend(call),
            Command::Aside if self.popup.stands() == Stand::WherePut => {
                self.popup.back_to_edge(ctx);
                self.keep_settings();
            }
            Command::Aside => self.set_edge(ctx, self.settings.edge.other()),
            Command::Edge(edge) => self.set_edge(ctx, edge),
            Command::Put { x, y } => {
                self.popup.put(ctx, egui::Pos2::new(x as f32, y as f32));
                self.keep_settings();
            }
            // The pop-up's own frames do that.
            Command::Pull(_) => {}
            Command::Set(settings) => self.set(ctx, settings),
            Command::Autostart(to) => self.start_with_session(to),
            Command::LogIn { secret, keep } => self.model.login_mut().enter(secret, keep),
            Command::LogOut => {
                self.model.log_out();
                (self.looks, self.typed) = (Looks::default(), Typed::default());
            }
        }
    }

    /// Behind a sign in the tray that is really there, a closed window only hides.
    fn stand_by(&mut self, ctx: &Context) {
        let wanted = self.settings.tray == Switch::On;
        self.outside.sign(wanted.then(|| tray::of(&self.model)));
        let closes = ctx.input(|input| input.viewport().close_requested());
        if closes && wanted && !self.quits && self.outside.has_sign() {
            for command in [ViewportCommand::CancelClose, ViewportCommand::Visible(false)] {
                ctx.send_viewport_cmd_to(ViewportId::ROOT, command);
            }
        }
    }

    fn start_with_session(&mut self, to: Switch) {
        let Some(autostart) = &self.autostart else { return };
        if let Err(e) = autostart.set(to) {
            tracing::warn!("whether the desktop starts with the session could not be changed: {e}");
        }
        // What the settings show is what is so.
        self.machine.autostart = Some(autostart.now());
    }

    /// Puts settings into force and keeps them.
    fn set(&mut self, ctx: &Context, settings: Settings) {
        self.settings = settings;
        self.theme = theme(&settings);
        self.theme.apply(ctx);
        self.model.words = Words::of(settings.language);
        self.model.habits = settings.habits;
        self.popup.set_look(ctx, self.theme);
        self.keep_settings();
        ctx.request_repaint();
    }

    fn set_edge(&mut self, ctx: &Context, edge: Edge) {
        self.settings.edge = edge;
        self.popup.set_edge(ctx, edge);
        self.keep_settings();
        ctx.request_repaint();
    }

    /// They stay in force while the program runs; a full disk is no reason to refuse a colour.
    fn keep_settings(&self) {
        if let Err(e) = self.file.save(&self.settings, self.popup.places()) {
            tracing::warn!("the settings were not kept: {e}");
        }
    }

    /// Shows the card that belongs on the screen now and asks to be woken when it next changes.
    fn pop(&mut self, ctx: &Context, now: Timestamp) {
        let data = PopupData::now(&self.model, now);
        let ticks = data.as_ref().is_some_and(|data| data.clock.is_some() || data.notice.is_some());
        let heard = data.as_ref().is_some_and(|data| self.model.is_heard(data.call));
        let wanted = self.settings.notify == Switch::On;
        self.outside.notify(if wanted { notice::of(data.as_ref()) } else { None });
        match self.popup.set(ctx, data) {
            Bell::Begins if !heard => {}
            Bell::Begins => {
                if self.settings.flash == Switch::On {
                    window::flash(ctx);
                }
                if self.settings.sound == Switch::On {
                    self.player.play();
                }
            }
            Bell::RingsOn => {}
            Bell::Silent => self.player.hush(),
        }
        if ticks {
            ctx.request_repaint_after(TICK);
        }
        if let Some(at) = self.model.fades_at(now) {
            wake_at(ctx, now, at);
        }
    }
}

fn wake_at(ctx: &Context, now: Timestamp, at: Timestamp) {
    ctx.request_repaint_after(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO));
}

impl eframe::App for App {
    /// The sheet of letters is as wide as this and grows in height: as wide as what draws allows, it would take
    /// megabytes from the start, once here and once there.
    fn raw_input_hook(&mut self, _: &Context, input: &mut egui::RawInput) {
        input.max_texture_side = input.max_texture_side.map(|most| most.min(WIDEST_TEXTURE));
    }

    fn logic(&mut self, ctx: &Context, _: &mut eframe::Frame) {
        if self.drain() {
            ctx.request_repaint();
        }
        let now = Timestamp::now();
        while let Ok(wish) = self.wishes.try_recv() {
            self.obey(ctx, now, wish);
        }
        self.stand_by(ctx);
        while let Some(wish) = self.outside.said() {
            self.obey(ctx, now, wish);
        }
        self.hand_out(ctx, now);
        self.pop(ctx, now);
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        let now = Timestamp::now();
        if let Some(data) = login::data(&self.model, now) {
            if let Some(wish) = login::ui(ui, &self.theme, &data, &mut self.typed) {
                self.obey(ui.ctx(), now, wish);
                self.hand_out(ui.ctx(), now);
                ui.ctx().request_repaint();
            }
            // Its window lives on, hidden.
            self.popup.show(ui.ctx());
            return;
        }
        self.typed.wipe();
        let (tab, beside) = (self.looks.tab(&self.model), self.looks.details.is_some());
        let put = if self.popup.places().is_empty() { Stand::AtEdge } else { Stand::WherePut };
        let machine = Machine { stand: put, ..self.machine };
        let data = main_window::data(&self.model, (&self.settings, machine), tab, now);
        let known = (&self.model, now);
        let mut wishes = main_window::ui(ui, &self.theme, known, &data, &mut self.looks);
        if self.looks.tab(&self.model) != tab {
            ui.ctx().request_repaint();
        }
        let card = PopupData::now(&self.model, now);
        wishes.extend(card.into_iter().flat_map(|card| popup::by_key(ui, &card)));
        let finds = self.model.find().call().is_some();
        // The call beside a list is closed first, and a search for a customer.
        if !beside && !finds && ui.input(|input| input.key_pressed(Key::Escape)) {
            wishes.extend(self.model.pop(now).map(|pop| Command::Close(pop.view.id)));
        }
        if !wishes.is_empty() {
            wishes.into_iter().for_each(|wish| self.obey(ui.ctx(), now, wish));
            self.hand_out(ui.ctx(), now);
            self.pop(ui.ctx(), now);
        }
        self.popup.show(ui.ctx());
        if data.ticks(&self.model) {
            ui.ctx().request_repaint_after(TICK);
        }
    }

    /// The ground of the main window: where the processor works out the pixels, one layer less is a frame that is
    /// done sooner.
    fn clear_color(&self, _: &egui::Visuals) -> [f32; 4] {
        self.theme.ground.to_normalized_gamma_f32()
    }

    fn on_exit(&mut self, _: Option<&eframe::glow::Context>) {
        self.stop.cancel();
        let drafts = self.model.drafts_mut();
        drafts.hurry();
        if let Some(keeper) = self.keeper.take() {
            while let Some(job) = drafts.next_job(Timestamp::now()) {
                if keeper.ask(job).is_err() {
                    break;
                }
            }
            keeper.end();
        }
        if let Some(keyring) = self.keyring.take() {
            keyring.end();
        }
    }
}
