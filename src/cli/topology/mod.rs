//! `topology`: makes what the worker needs at the broker, compares it, exports it.

mod advice;
mod table;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::Exit;
use super::output::print;
use crate::rabbitmq::{
    self, Definitions, Kind, MigrateError, Migrated, NotCompared, RabbitmqError, State, TopologyReport,
};
use crate::settings::{RabbitmqSettings, Settings};

/// What AMQP cannot tell about a broker.
const NOT_CHECKED: [&str; 4] = [
    "whether our bindings are there (`topology apply` makes those that are missing)",
    "whether others have bound further queues to our exchanges, or ours to theirs",
    "policies",
    "users and their permissions",
];

/// What to do about the topology.
#[derive(Debug, Subcommand)]
pub enum TopologyCommand {
    /// Make every exchange, queue and binding that is missing; safe to repeat
    Apply,
    /// Compare what the broker holds with the settings; changes nothing
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a queue anew that is different, and carry its messages over; stop the workers first, and end running dead-letters
    /// commands, whose letters are not noticed
    Migrate {
        /// The queue, such as replication.work
        queue: String,
    },
    /// Print definitions for `rabbitmqctl import_definitions`, with users, permissions and policies; asks no broker
    Export(ExportArguments),
}

/// What to leave out.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Leave out users and permissions: importing a user that exists takes its password away
    #[arg(long)]
    without_users: bool,
    /// Leave out the virtual host: importing one that exists takes its description away. The default one is never exported
    #[arg(long)]
    without_vhost: bool,
    /// Leave out the policies (lengths, sizes)
    #[arg(long)]
    without_policies: bool,
}

/// Carries out one of the commands.
pub async fn topology(settings: &Settings, command: &TopologyCommand) -> Exit {
    let settings = &settings.rabbitmq;
    if let TopologyCommand::Export(arguments) = command {
        return export(settings, arguments);
    }
    if settings.url.is_none() {
        eprintln!("rabbitmq.url: is missing: set it, or rabbitmq.url_file");
        return Exit::BadSettings;
    }
    let done = match command {
        TopologyCommand::Check { json } => check(settings, *json).await,
        TopologyCommand::Migrate { queue } => Ok(migrate(settings, queue).await),
        _ => apply(settings).await,
    };
    done.unwrap_or_else(|error| fail(&error))
}

async fn migrate(settings: &RabbitmqSettings, queue: &str) -> Exit {
    match rabbitmq::migrate(settings, queue).await {
        Ok(Migrated { needed: false, .. }) => print(&format!("queue {queue} is as these settings say\n"), Exit::Done),
        Ok(Migrated { held, returned, .. }) => {
            print(&format!("queue {queue} was made anew: {held} messages held, {returned} returned\n"), Exit::Done)
        }
        Err(MigrateError::Broker(error)) => fail(&error),
        Err(error) => {
            eprintln!("{error}");
            if matches!(error, MigrateError::Unknown { .. }) { Exit::BadSettings } else { Exit::Failed }
        }
    }
}

async fn apply(settings: &RabbitmqSettings) -> Result<Exit, RabbitmqError> {
    let report = match rabbitmq::apply(settings).await {
        Err(RabbitmqError::Different { differences, .. }) => {
            let report = TopologyReport { findings: differences };
            eprint!("{}", table::rows(&report, settings));
            eprintln!("nothing was made; {}", table::ONE_AT_A_TIME);
            return Ok(Exit::Failed);
        }
        report => report?,
    };
    let made = report.findings.iter().filter(|finding| finding.state == State::Made).count();
    let bindings = rabbitmq::Topology::new(settings).bindings().len();
    let summary = format!("{made} made, {} were there; {bindings} bindings are there", report.findings.len() - made);
    Ok(print(&format!("{}{summary}\n", table::rows(&report, settings)), Exit::Done))
}

async fn check(settings: &RabbitmqSettings, json: bool) -> Result<Exit, RabbitmqError> {
    let report = rabbitmq::check(settings).await?;
    let text = if json {
        pretty(&answer(&report, settings))
    } else {
        format!("{}{}", table::rows(&report, settings), table::summary(&report, &NOT_CHECKED))
    };
    Ok(print(&text, if report.is_complete() { Exit::Done } else { Exit::Failed }))
}

fn export(settings: &RabbitmqSettings, arguments: &ExportArguments) -> Exit {
    let mut definitions = match Definitions::new(settings) {
        Ok(definitions) => definitions,
        Err(error) => return fail(&error),
    };
    if arguments.without_users {
        definitions = definitions.without_users();
    }
    if arguments.without_vhost {
        definitions = definitions.without_vhost();
    }
    if arguments.without_policies {
        definitions = definitions.without_policies();
    }
    print(&pretty(&definitions), Exit::Done)
}

fn fail(error: &RabbitmqError) -> Exit {
    eprintln!("{error}");
    if matches!(error, RabbitmqError::Url(_)) { Exit::BadSettings } else { Exit::Failed }
}

/// The answer of `topology check --json`; its names stay as they are.
#[derive(Serialize)]
struct Answer<'a> {
    /// Whether a worker can work.
    complete: bool,
    things: Vec<Thing<'a>>,
    not_checked: [&'static str; 4],
}

#[derive(Serialize)]
struct Thing<'a> {
    kind: &'static str,
    name: &'a str,
    /// `ok`, `missing`, `different`, `left-over` or `not-compared`.
    state: &'static str,
    /// What the broker says, or why it was not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// How to put it right, step by step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    advice: Vec<advice::Step>,
}

fn answer<'a>(report: &'a TopologyReport, settings: &RabbitmqSettings) -> Answer<'a> {
    let thing = |finding: &'a rabbitmq::Finding| Thing {
        kind: match finding.kind {
            Kind::Exchange => "exchange",
            Kind::Queue => "queue",
        },
        name: &finding.name,
        state: match &finding.state {
            State::Same | State::Made => "ok",
            State::Missing => "missing",
            State::Different(_) => "different",
            State::LeftOver(_) => "left-over",
            State::NotCompared(_) => "not-compared",
        },
        detail: detail(&finding.state),
        advice: advice::steps(finding, settings),
    };
    let things = report.findings.iter().map(thing).collect();
    Answer { complete: report.is_complete(), things, not_checked: NOT_CHECKED }
}

/// What is to be said about a state besides its name. Other people's names may be in it, and what they may hold.
fn detail(state: &State) -> Option<String> {
    match state {
        State::Different(cause) => {
            let cause = cause.strip_prefix("PRECONDITION_FAILED - ").unwrap_or(cause);
            Some(cause.chars().map(|c| if c.is_control() { '?' } else { c }).collect())
        }
        State::NotCompared(why @ (NotCompared::NoPermission | NotCompared::Foreign)) => Some(why.to_string()),
        State::LeftOver(messages) => Some(format!("{messages} messages of a migration that was cut short are in it")),
        State::Same | State::Made | State::Missing => None,
    }
}

fn pretty(value: &impl Serialize) -> String {
    // Texts, numbers and lists of them can always be written.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
