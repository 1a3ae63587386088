//! The reference page of the command line, made from the definition of the commands themselves.

use crate::environment::VARIABLES;
use crate::exit;
use crate::failure::Failure;
use crate::session::Session;
use clap::builder::StyledStr;
use clap::{Arg, Args};

/// `dozen reference`.
#[derive(Debug, Args)]
pub struct Reference {}

impl Reference {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        session.output.print(&render_reference(super::definition()))
    }
}

fn render_reference(mut definition: clap::Command) -> String {
    definition.build();
    let mut commands: Vec<_> =
        definition.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    commands.sort_by_key(|command| command.get_name().to_owned());
    let sections: String =
        commands.into_iter().filter(|command| command.get_name() != "help").map(render_command).collect();
    let variables: String = VARIABLES
        .iter()
        .map(|variable| format!("| `{}` | {} |\n", variable.name, variable.meaning))
        .collect();
    format!(
        "# The command line\n\n\
         Made by `dozen reference`; not to be edited by hand.\n\n\
         Data goes to standard output, everything else to standard error. Every command takes `--json` and `--help`.\n\n\
         ## Exit codes\n\n```text\n{}\n```\n\n\
         ## Environment\n\n| Variable | Meaning |\n|---|---|\n{variables}\n\
         ## Commands\n\n{sections}",
        exit::HELP
    )
}

fn render_command(command: &clap::Command) -> String {
    let aliases: Vec<_> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    let also = if aliases.is_empty() { String::new() } else { format!(" Also: {}.", aliases.join(", ")) };
    let about = command.get_about().map(StyledStr::to_string).unwrap_or_default();
    let shown =
        |argument: &&Arg| !argument.is_hide_set() && !matches!(argument.get_id().as_str(), "help" | "json");
    let rows: String = command.get_arguments().filter(shown).map(render_argument).collect();
    let table =
        if rows.is_empty() { String::new() } else { format!("| Argument | Meaning |\n|---|---|\n{rows}\n") };
    format!("### `dozen {}`\n\n{about}.{also}\n\n{table}", command.get_name())
}

fn render_argument(argument: &Arg) -> String {
    let help = argument.get_help().map(StyledStr::to_string).unwrap_or_default();
    let default = argument.get_default_values().first().filter(|_| argument.get_action().takes_values());
    let default = default.map(|value| format!(" (default: {})", value.to_string_lossy())).unwrap_or_default();
    let values: Vec<_> =
        argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let takes = argument.get_action().takes_values();
    let value = if takes && !values.is_empty() { format!(" {}", values.join(" ")) } else { String::new() };
    let names = [
        argument.get_short().map(|short| format!("-{short}")),
        argument.get_long().map(|long| format!("--{long}")),
    ];
    let names: Vec<_> = names.into_iter().flatten().collect();
    let name = if names.is_empty() { values.join(" ") } else { names.join(", ") + &value };
    format!("| `{}` | {}{default} |\n", name.replace('|', "\\|"), help.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "server")]
    #[test]
    fn the_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/cli.md");
        let page = render_reference(super::super::definition());
        if std::env::var_os("DOZEN_WRITE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(written, page, "run the tests once with DOZEN_WRITE_DOCS=1");
    }
}
