//! `schema`: the forms of our messages, for whoever sends or takes them.

use clap::{Args, ValueEnum};

use super::output::print;
use super::{Exit, load};
use crate::events::{EventSchema, asyncapi};

/// Which schema to print.
#[derive(Debug, Args)]
pub struct SchemaArguments {
    /// Which one; all names where it is left out. Only asyncapi reads settings, for the names of exchanges and routing keys
    #[arg(value_enum)]
    name: Option<SchemaName>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemaName {
    /// JSON Schema of what encoders send: media.encoding.finished.v1
    EncodingFinished,
    /// JSON Schema of what we announce: media.asset.replicated.v1
    AssetReplicated,
    /// JSON Schema of what we announce: media.asset.replication_failed.v1
    AssetReplicationFailed,
    /// AsyncAPI 3 document: all of these, with exchanges, routing keys and headers
    Asyncapi,
}

/// Prints it; asks no broker.
pub fn schema(arguments: &SchemaArguments, config: Option<&std::path::Path>) -> Exit {
    let schema = match arguments.name {
        None => return print(&names(), Exit::Done),
        Some(SchemaName::EncodingFinished) => EventSchema::EncodingFinished,
        Some(SchemaName::AssetReplicated) => EventSchema::AssetReplicated,
        Some(SchemaName::AssetReplicationFailed) => EventSchema::AssetReplicationFailed,
        Some(SchemaName::Asyncapi) => {
            return match load(config) {
                Ok(settings) => print(&format!("{:#}\n", asyncapi(&settings.rabbitmq)), Exit::Done),
                Err(error) => {
                    eprintln!("{error}");
                    Exit::BadSettings
                }
            };
        }
    };
    print(schema.text(), Exit::Done)
}

/// One name a line, and what it is of.
fn names() -> String {
    let lines = SchemaName::value_variants().iter().filter_map(SchemaName::to_possible_value);
    let lines = lines.map(|value| {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        format!("{:<26}{help}\n", value.get_name())
    });
    lines.collect()
}
