//! The sound of a call that rings here: a program of this machine with its arguments, as configured; nothing goes
//! through a shell, nothing is waited for, and one sound never plays over another.

use std::process::{Child, Command, Stdio};

/// A program that makes the sound, and its arguments. `None`: there is no sound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sound(Option<(String, Vec<String>)>);

impl From<Vec<String>> for Sound {
    fn from(words: Vec<String>) -> Sound {
        let mut words = words.into_iter();
        Sound(words.next().map(|program| (program, words.collect())))
    }
}

/// Plays it.
#[derive(Debug)]
pub struct Player {
    sound: Sound,
    playing: Option<Child>,
    /// Told once that it cannot be played.
    told: bool,
}

impl Player {
    /// A player that is silent until asked.
    pub fn new(sound: Sound) -> Player {
        Player { sound, playing: None, told: false }
    }

    /// Whether there is a sound to play.
    pub fn has_sound(&self) -> bool {
        self.sound.0.is_some()
    }

    /// Begins to play, unless it still does.
    pub fn play(&mut self) {
        let Some((program, arguments)) = &self.sound.0 else { return };
        if self.playing.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None))) {
            return;
        }
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => self.playing = Some(child),
            Err(e) if !std::mem::replace(&mut self.told, true) => {
                tracing::warn!("the sound cannot be played (`sound`): {program}: {e}");
            }
            Err(_) => {}
        }
    }

    /// Ends what plays: the call rings here no more.
    pub fn hush(&mut self) {
        if let Some(mut child) = self.playing.take() {
            // It may have ended by itself.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.hush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Sound {
        words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>().into()
    }

    #[test]
    fn a_sound_is_a_program_with_arguments_and_silence_is_none() {
        assert!(!Player::new(words(&[])).has_sound());
        let mut silent = Player::new(words(&[]));
        silent.play();
        assert!(silent.playing.is_none());
        let mut missing = Player::new(words(&["/nowhere/pinkas-no-such-player"]));
        missing.play();
        assert!(missing.has_sound() && missing.playing.is_none() && missing.told);
    }

    #[cfg(unix)]
    #[test]
    fn one_sound_at_a_time_and_none_is_left_when_it_is_hushed() {
        let mut player = Player::new(words(&["sleep", "60"]));
        player.play();
        let first = player.playing.as_ref().map(Child::id);
        player.play();
        assert!(first.is_some() && player.playing.as_ref().map(Child::id) == first);
        player.hush();
        assert!(player.playing.is_none());
        player.play();
        assert_ne!(player.playing.as_ref().map(Child::id), first);
    }
}
