//! Kamailio's sipcapture as a collector of copied SIP traffic, in two ways: into flat files, and into a PostgreSQL of
//! its own, as it is deployed (Homer keeps its calls in MySQL or PostgreSQL).

use std::net::SocketAddrV4;

use anyhow::Context;
use pinkas_tests::lab::Trouble;
use pinkas_tests::lab::postgres::Postgres;
use pinkas_tests::measure::Processes;
use sqlx::Connection;

use super::kamailio::{Ruler, TABLE};

/// Each message becomes a line of a file.
pub struct IntoFiles {
    at: SocketAddrV4,
    kamailio: Ruler,
}

impl IntoFiles {
    /// Starts it.
    pub async fn start() -> Result<IntoFiles, Trouble> {
        let at: SocketAddrV4 = SocketAddrV4::new([127, 0, 30, 203].into(), 9060);
        Ok(IntoFiles { at, kamailio: Ruler::into_file(at).await? })
    }

    /// Where it takes HEP.
    pub fn at(&self) -> SocketAddrV4 {
        self.at
    }

    /// What it costs.
    pub fn processes(&self) -> Processes {
        self.kamailio.processes()
    }

    /// How many bytes it has written.
    pub fn written(&self) -> u64 {
        self.kamailio.written()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        self.kamailio.log()
    }
}

/// Each message becomes a row of a table.
pub struct IntoDatabase {
    at: SocketAddrV4,
    /// Before the database: it ends first.
    kamailio: Ruler,
    postgres: Postgres,
}

impl IntoDatabase {
    /// Starts a PostgreSQL with the table, then Kamailio.
    pub async fn start() -> Result<IntoDatabase, Trouble> {
        let at = SocketAddrV4::new([127, 0, 30, 211].into(), 9060);
        let postgres = Postgres::start().await?;
        let mut connection = connect(&postgres).await?;
        sqlx::raw_sql(TABLE).execute(&mut connection).await.context("cannot make the table of sipcapture")?;
        let kamailio = Ruler::into_database(at, &postgres.url()).await?;
        Ok(IntoDatabase { at, kamailio, postgres })
    }

    /// Where it takes HEP.
    pub fn at(&self) -> SocketAddrV4 {
        self.at
    }

    /// What Kamailio costs, without the database.
    pub fn processes(&self) -> Processes {
        self.kamailio.processes()
    }

    /// What the database costs.
    pub fn database(&self) -> Processes {
        self.postgres.processes()
    }

    /// How many messages are in the database.
    pub async fn rows(&self) -> anyhow::Result<u64> {
        let count: i64 = sqlx::query_scalar("select count(*) from sip_capture")
            .fetch_one(&mut connect(&self.postgres).await?)
            .await?;
        Ok(u64::try_from(count)?)
    }

    /// What Kamailio logged.
    pub fn log(&self) -> String {
        self.kamailio.log()
    }
}

async fn connect(postgres: &Postgres) -> anyhow::Result<sqlx::PgConnection> {
    Ok(sqlx::PgConnection::connect(&postgres.url()).await?)
}
