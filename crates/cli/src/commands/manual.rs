//! `manual`: the manual pages, made from the definition of the commands themselves.

use crate::failure::Failure;
use crate::session::Session;
use clap::Args;
use clap_mangen::Man;
use std::io;
use std::path::{Path, PathBuf};

/// `dozen manual`.
#[derive(Debug, Args)]
pub struct Manual {
    /// The folder; it is made if need be. Pages are found below `man1` of a folder in MANPATH
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Manual {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.folder)?;
        let mut written = Vec::new();
        for (name, page) in render_pages(super::definition())? {
            let path = self.folder.join(name);
            write(&path, &page)?;
            written.push(path.display().to_string());
        }
        session.output.data(&written, |_| format!("{} pages in {}\n", written.len(), self.folder.display()))
    }
}

fn write(path: &Path, page: &[u8]) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(format!("{} cannot be written: {error}", path.display()));
    std::fs::write(path, page).map_err(failed)
}

/// File names and pages: `dozen.1` and one per command, `dozen-config:set.1`.
fn render_pages(mut definition: clap::Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    definition.build();
    let commands = definition.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let commands: Vec<_> = commands.filter(|command| command.get_name() != "help").collect();
    let mut pages = vec![("dozen.1".to_owned(), render_page(definition)?)];
    for command in commands {
        let name = format!("dozen-{}", command.get_name());
        // The name of a page is the name that its command is shown with.
        let page = render_page(command.display_name(name.clone()))?;
        pages.push((format!("{name}.1"), page));
    }
    Ok(pages)
}

fn render_page(command: clap::Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let pages = render_pages(super::super::definition()).unwrap();
        let page = |name: &str| {
            let found = pages.iter().find(|(file, _)| file == name).unwrap_or_else(|| panic!("no {name}"));
            String::from_utf8(found.1.clone()).unwrap()
        };
        assert!(page("dozen.1").contains(".SH SUBCOMMANDS"));
        let set = page("dozen-config:set.1");
        assert!(
            set.contains("Set config vars, which makes a release") && set.contains(".SH OPTIONS"),
            "{set}"
        );
        let shown = super::super::definition().get_subcommands().filter(|one| !one.is_hide_set()).count();
        assert_eq!(pages.len(), shown + 1);
    }
}
