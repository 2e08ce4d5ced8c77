//! The monitors as the system tells of them, and which of them the main window is on. Asked only when the pop-up
//! is placed; where nothing is told there is one monitor of a usual size.

use std::sync::{Arc, Weak};

use egui::{Context, Pos2, Vec2};
use winit::monitor::MonitorHandle;
use winit::window::Window;

use crate::place::Monitor;

/// Where nothing is known about the screen, in points.
const FALLBACK_SCREEN: Vec2 = Vec2::new(1280.0, 720.0);

/// Whom to ask: the main window, while it is there.
#[derive(Debug, Default)]
pub struct Screens(Weak<Window>);

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Never none.
    pub monitors: Vec<Monitor>,
    /// The key of the one the main window is on.
    pub main: Option<String>,
}

impl Screens {
    /// As this window sees them.
    pub fn of(window: Option<&Arc<Window>>) -> Self {
        Screens(window.map(Arc::downgrade).unwrap_or_default())
    }

    /// The monitors now.
    pub fn now(&self, ctx: &Context) -> Seen {
        let zoom = ctx.zoom_factor();
        let read = |handle: MonitorHandle| {
            let (at, size) = (handle.position(), handle.size());
            Monitor {
                name: handle.name().unwrap_or_default(),
                origin: Pos2::new(at.x as f32, at.y as f32),
                size: Vec2::new(size.width as f32, size.height as f32),
                scale: handle.scale_factor() as f32 * zoom,
            }
        };
        let is_there = |monitor: &Monitor| monitor.size.min_elem() > 1.0 && monitor.scale > 0.0;
        let Some(window) = self.0.upgrade() else { return Seen::nothing() };
        let monitors: Vec<Monitor> = window.available_monitors().map(read).filter(is_there).collect();
        let main = window.current_monitor().map(read).filter(is_there).map(|monitor| monitor.key());
        if monitors.is_empty() { Seen::nothing() } else { Seen { monitors, main } }
    }
}

impl Seen {
    /// Where nothing is told.
    pub fn nothing() -> Self {
        let monitor = Monitor { name: String::new(), origin: Pos2::ZERO, size: FALLBACK_SCREEN, scale: 1.0 };
        Seen { monitors: vec![monitor], main: None }
    }
}
