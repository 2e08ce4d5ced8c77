//! `pinkas-hub user` and `pinkas-hub init`: people added and changed by whoever may write the hub's files.
//! A password is read from standard input or made and printed once; never an argument, never logged.

use std::fs::File;
use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use pinkas_protocol::agent_link::Role;
use pinkas_protocol::{AgentId, Line, Private, TeamName};

use super::people::{self, User, Users};
use super::{Settings, passwords};

/// What `pinkas-hub user` does.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a person; prints a new password unless --password-stdin
    Add {
        /// What they log in with
        id: AgentId,
        /// Shown to colleagues
        #[arg(long)]
        name: Option<String>,
        /// What they may see
        #[arg(long, value_enum, default_value_t = RoleWord::Agent)]
        role: RoleWord,
        /// Their phones, for example 101,102
        #[arg(long, value_delimiter = ',')]
        lines: Vec<Line>,
        /// Their teams, for example support,sales
        #[arg(long, value_delimiter = ',')]
        teams: Vec<TeamName>,
        /// Where the password comes from
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Give a new password and end every login
    Password {
        /// Whose
        id: AgentId,
        /// Where the password comes from
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Change what a person may see
    Role {
        /// Whose
        id: AgentId,
        /// The new role
        #[arg(value_enum)]
        role: RoleWord,
    },
    /// Change the teams a person belongs to; none: take them out of all
    Team {
        /// Whose
        id: AgentId,
        /// All their teams from now on
        teams: Vec<TeamName>,
    },
    /// Change a person's phones; none: take all away
    Lines {
        /// Whose
        id: AgentId,
        /// All their phones from now on
        lines: Vec<Line>,
    },
    /// End every login: each desktop needs the password again
    Revoke {
        /// Whose
        id: AgentId,
    },
    /// Let a person in no more and end every login
    Disable {
        /// Whom
        id: AgentId,
    },
    /// Let a disabled person in again, with the old password
    Enable {
        /// Whom
        id: AgentId,
    },
    /// Print everybody with a password
    List,
}

/// Where a password comes from.
#[derive(Debug, Clone, Copy, Args)]
pub struct PasswordFrom {
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
}

/// A role on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleWord {
    /// Calls at their own phones
    Agent,
    /// Every call, or those of their teams
    Supervisor,
    /// Every call; runs the hub
    Admin,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Role {
        match word {
            RoleWord::Agent => Role::Agent,
            RoleWord::Supervisor => Role::Supervisor,
            RoleWord::Admin => Role::Admin,
        }
    }
}

/// Carries a command out and says what was done.
pub fn user(
    settings: &Settings,
    command: UserCommand,
    input: &mut impl BufRead,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let path = &settings.users;
    let _turn = turn(path)?;
    let mut users = people::load(path, &settings.agents)?;
    if matches!(command, UserCommand::List) {
        return list(&users, out);
    }
    if let UserCommand::Add { id, .. } = &command {
        ensure!(!settings.agents.contains_key(id), "\"{id}\" is an [[agent]] of the configuration already");
        ensure!(
            !users.0.contains_key(id),
            "there is a user \"{id}\" already; `user password` gives a new password"
        );
    }
    let said = change(&mut users, command, input)?;
    people::save(path, &users)?;
    Ok(writeln!(out, "{said}")?)
}

fn change(users: &mut Users, command: UserCommand, input: &mut impl BufRead) -> anyhow::Result<String> {
    Ok(match command {
        UserCommand::Add { id, name, role, lines, teams, password } => {
            let (hash, told) = new_password(password, input)?;
            let user = User {
                name: name.unwrap_or_else(|| id.to_string()),
                role: role.into(),
                lines,
                teams: teams.into_iter().collect(),
                password: Private(hash),
                generation: 1,
                disabled: None,
                id: id.clone(),
            };
            users.0.insert(id.clone(), user);
            format!("{id} can log in{told}")
        }
        UserCommand::Password { id, password } => {
            let user = known(users, &id)?;
            let (hash, told) = new_password(password, input)?;
            user.password = Private(hash);
            end_logins(user);
            format!("{id} has a new password, and every login with the old one ends{told}")
        }
        UserCommand::Role { id, role } => {
            known(users, &id)?.role = role.into();
            format!("{id}: the role is changed")
        }
        UserCommand::Team { id, teams } => {
            known(users, &id)?.teams = teams.into_iter().collect();
            format!("{id}: the teams are changed")
        }
        UserCommand::Lines { id, lines } => {
            known(users, &id)?.lines = lines;
            format!("{id}: the phones are changed")
        }
        UserCommand::Revoke { id } => {
            end_logins(known(users, &id)?);
            format!("{id}: every login ends")
        }
        UserCommand::Disable { id } => {
            let user = known(users, &id)?;
            user.disabled = Some(Timestamp::now());
            end_logins(user);
            format!("{id} can no longer log in, and every login ends")
        }
        UserCommand::Enable { id } => {
            known(users, &id)?.disabled = None;
            format!("{id} can log in again")
        }
        UserCommand::List => String::new(),
    })
}

fn known<'a>(users: &'a mut Users, id: &AgentId) -> anyhow::Result<&'a mut User> {
    users.0.get_mut(id).with_context(|| {
        format!(
            "there is no user \"{id}\"; `user list` prints all. People of the configuration are changed there"
        )
    })
}

fn end_logins(user: &mut User) {
    user.generation = user.generation.wrapping_add(1);
}

/// The hash, and what to print about it.
fn new_password(from: PasswordFrom, input: &mut impl BufRead) -> anyhow::Result<(String, String)> {
    if !from.password_stdin {
        let password = passwords::make()?;
        return Ok((passwords::hash(&password)?, format!(".\nPassword, shown only now: {password}")));
    }
    let mut line = String::new();
    input.read_line(&mut line).context("no password could be read")?;
    let password = line.trim_end_matches(['\r', '\n']);
    if let Some(why) = passwords::refuse(password) {
        bail!("{why}");
    }
    Ok((passwords::hash(password)?, String::new()))
}

fn list(users: &Users, out: &mut impl Write) -> anyhow::Result<()> {
    if users.0.is_empty() {
        writeln!(out, "nobody has a password; `pinkas-hub user add NAME` adds a person")?;
    }
    for user in users.0.values() {
        let names = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let lines = names(user.lines.iter().map(Line::as_str).collect());
        let teams = names(user.teams.iter().map(TeamName::as_str).collect());
        let role = match user.role {
            Role::Agent => "agent",
            Role::Supervisor => "supervisor",
            Role::Admin => "admin",
        };
        let disabled = user.disabled.map_or(String::new(), |since| format!(", disabled since {since:.0}"));
        writeln!(out, "{} ({}): {role}, phones: {lines}, teams: {teams}{disabled}", user.id, user.name)?;
    }
    Ok(())
}

/// Two of these commands at once would lose what one of them wrote.
fn turn(path: &Path) -> anyhow::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::create(&name).with_context(|| format!("cannot write beside {}", path.display()))?;
    file.try_lock().ok().context("another `pinkas-hub user` is at work: try again")?;
    Ok(file)
}

/// Writes a configuration and the first admin; what is there already stays.
pub fn init(
    config: &Path,
    admin: &AgentId,
    password: PasswordFrom,
    input: &mut impl BufRead,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let users = config.with_file_name("users.toml");
    let secret = config.with_file_name("adapter.secret");
    for there in [config, &users, &secret] {
        ensure!(!there.exists(), "{} is there already; nothing was changed", there.display());
    }
    let (hash, told) = new_password(password, input)?;
    let user = User {
        id: admin.clone(),
        name: admin.to_string(),
        role: Role::Admin,
        lines: Vec::new(),
        teams: Default::default(),
        password: Private(hash),
        generation: 1,
        disabled: None,
    };
    people::write_whole(&secret, format!("{}\n", passwords::make()?).as_bytes())?;
    people::save(&users, &Users([(admin.clone(), user)].into()))?;
    people::write_whole(config, FIRST.as_bytes())?;
    writeln!(out, "{}, {} and {} are written.", config.display(), users.display(), secret.display())?;
    writeln!(out, "Give the adapter {}; people are added with `pinkas-hub user add`.", secret.display())?;
    Ok(writeln!(out, "{admin} can log in{told}")?)
}

/// The configuration that `init` writes.
const FIRST: &str = include_str!("../../first.toml");
