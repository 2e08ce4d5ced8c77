//! The demo's calls, as data: who calls, which phones ring, what happens then.
//! Each shows one thing the screen pop does; together they are a round that can go on for ever.

use std::time::Duration;

use pinkas_protocol::Line;
use tokio_util::sync::CancellationToken;

use crate::company::customers;
use crate::pbx::{Pbx, PretendCall, PretendCaller};

/// One scripted call.
#[derive(Debug, Clone)]
pub struct Scene {
    /// What is about to happen, in one plain sentence.
    pub title: &'static str,
    /// Who calls.
    pub caller: PretendCaller,
    /// Where it rings.
    pub rings: Vec<Line>,
    /// What happens then.
    pub plot: Plot,
}

/// What happens after the first ring.
#[derive(Debug, Clone)]
pub enum Plot {
    /// Someone picks up.
    Answered {
        /// Where.
        line: Line,
        /// After ringing so long.
        after: Duration,
        /// For how long they talk.
        talks: Duration,
    },
    /// The caller gives up.
    Abandoned {
        /// After ringing so long.
        after: Duration,
    },
}

/// The phones of the demo.
#[derive(Debug, Clone)]
pub struct Phones {
    /// Of the agent whose screen is watched.
    pub here: Line,
    /// Of the colleague who is quicker once.
    pub colleague: Line,
    /// Another colleague's.
    pub third: Line,
}

/// The scripted calls, in the order in which they explain themselves.
pub fn scenes(phones: &Phones) -> Vec<Scene> {
    let Phones { here, colleague, third } = phones;
    let only_here = || vec![here.clone()];
    let everyone = || vec![here.clone(), colleague.clone(), third.clone()];
    let answered = |line: &Line, after: u64, talks: u64| Plot::Answered {
        line: line.clone(),
        after: Duration::from_secs(after),
        talks: Duration::from_secs(talks),
    };
    let from = |customer: &customers::Sample| PretendCaller::new(customer.e164, customer.name);
    vec![
        Scene {
            title: "A Polish bakery calls: the pop-up shows who it is and fills as each system answers",
            caller: from(&customers::ZOLKIEWSKI),
            rings: only_here(),
            plot: answered(here, 6, 6),
        },
        Scene {
            title: "A Hebrew customer calls: names, products and figures read the right way round",
            caller: from(&customers::LEVI),
            rings: only_here(),
            plot: answered(here, 6, 6),
        },
        Scene {
            title: "All three phones ring and a colleague answers: the pop-up says so and goes away",
            caller: PretendCaller::new(
                customers::SHAKED.e164,
                format!("Support: {}", customers::SHAKED.name),
            ),
            rings: everyone(),
            plot: answered(colleague, 4, 5),
        },
        Scene {
            title: "Two customers share this number: choose which of them is calling",
            // The carrier knows the number, not which of the two firms speaks.
            caller: PretendCaller::new(customers::POD_JAWOREM.e164, ""),
            rings: only_here(),
            plot: answered(here, 12, 10),
        },
        Scene {
            title: "A number nobody knows calls: the pop-up shows the number and its country",
            caller: PretendCaller::new("+442079460999", "LONDON"),
            rings: only_here(),
            plot: answered(here, 6, 5),
        },
        Scene {
            title: "A caller withholds the number: the call still pops up",
            caller: PretendCaller::withheld(),
            rings: only_here(),
            plot: answered(here, 5, 5),
        },
        Scene {
            title: "Accounting is slow for this customer: the rest is there at once, the balance comes late",
            caller: from(&customers::POD_DEBEM),
            rings: only_here(),
            plot: answered(here, 7, 5),
        },
        Scene {
            title: "Accounting is down for this customer: its card says so, the others do not wait",
            caller: from(&customers::CORNER_OVEN),
            rings: only_here(),
            plot: answered(here, 6, 5),
        },
        Scene {
            title: "A customer on credit hold rings everyone and gives up",
            caller: PretendCaller::new(
                customers::HARBOUR_STREET.e164,
                format!("Support: {}", customers::HARBOUR_STREET.name),
            ),
            rings: everyone(),
            plot: Plot::Abandoned { after: Duration::from_secs(6) },
        },
    ]
}

/// Plays one scene to its end; when `stop` is cancelled the call ends at once.
pub async fn play(pbx: &Pbx, scene: &Scene, stop: &CancellationToken) {
    let call = pbx.call(scene.caller.clone(), &scene.rings).await;
    // Cancelled or played to its end: the line must be idle for the next scene.
    let _ = stop.run_until_cancelled(act(&call, &scene.plot)).await;
    call.hang_up().await;
}

async fn act(call: &PretendCall, plot: &Plot) {
    match plot {
        Plot::Answered { line, after, talks } => {
            tokio::time::sleep(*after).await;
            call.answer(line).await;
            tokio::time::sleep(*talks).await;
        }
        Plot::Abandoned { after } => {
            tokio::time::sleep(*after).await;
            call.abandon().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::pbx::{Faults, PbxConfig};

    fn phones() -> Phones {
        let [here, colleague, third] = ["101", "102", "103"].map(|text| Line::parse(text).expect("a line"));
        Phones { here, colleague, third }
    }

    async fn pbx() -> Pbx {
        let Phones { here, colleague, third } = phones();
        let config = PbxConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            realm: "asterisk".to_owned(),
            user: "pinkas".to_owned(),
            password: "secret".to_owned(),
            lines: [here, colleague, third].map(|line| (line, String::new())).to_vec(),
            faults: Faults::default(),
        };
        Pbx::start(config).await.expect("a free port")
    }

    /// The same scene without its waits.
    fn hurried(mut scene: Scene) -> Scene {
        match &mut scene.plot {
            Plot::Answered { after, talks, .. } => (*after, *talks) = Default::default(),
            Plot::Abandoned { after } => *after = Duration::ZERO,
        }
        scene
    }

    #[tokio::test]
    async fn every_scene_plays_to_its_end() {
        let (pbx, stop) = (pbx().await, CancellationToken::new());
        for scene in scenes(&phones()).into_iter().map(hurried) {
            let played = tokio::time::timeout(Duration::from_secs(5), play(&pbx, &scene, &stop)).await;
            assert!(played.is_ok(), "{}", scene.title);
        }
    }

    #[test]
    fn every_scene_is_answered_where_it_rings() {
        for Scene { title, rings, plot, .. } in scenes(&phones()) {
            if let Plot::Answered { line, .. } = plot {
                assert!(rings.contains(&line), "{title}");
            }
            assert!(!title.ends_with('.'), "{title}");
        }
    }
}
