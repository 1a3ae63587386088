//! `ps:usage`.

use crate::failure::Failure;
use crate::session::{AppFlags, Session};
use crate::text::{Style, Table, render_heading};
use api::client::Client;
use api::dozen::usage::{ProcessUsage, Usage};
use clap::Args;

const MEGABYTE: f64 = 1024.0 * 1024.0;
/// In place of what nothing on the machine counts.
const UNKNOWN: &str = "-";

/// `dozen ps:usage`.
#[derive(Debug, Args)]
pub struct Show {
    /// Only processes of this type
    process_type: Option<String>,
    #[command(flatten)]
    flags: AppFlags,
}

impl Show {
    pub fn act(self, session: &Session) -> Result<(), Failure> {
        let at = session.app_client(&self.flags)?;
        let mut rows = at.ask(Client::usage)?;
        rows.retain(|row| {
            self.process_type.as_deref().is_none_or(|wanted| row.process_type.as_str() == wanted)
        });
        if rows.is_empty() {
            session.output.note(&format!("No processes run for {}.", at.app));
        }
        for row in &rows {
            if let Some(unknown) = &row.unknown {
                session.output.warn(&format!("{}: {unknown}", row.name));
            }
        }
        session.output.data(&rows, |style| render(&at.app, &rows, style))
    }
}

fn render(app: &str, rows: &[ProcessUsage], style: Style) -> String {
    let known: Vec<_> = rows.iter().filter_map(|row| Some((row, row.usage?))).collect();
    if known.is_empty() {
        return String::new();
    }
    let mut table = Table::default();
    table.row(
        ["Process", "Memory", "Of quota", "Peak", "CPU time", "Processes", "Out of memory"]
            .map(str::to_owned),
    );
    for (row, usage) in &known {
        let above = usage.memory_bytes.is_some_and(|bytes| bytes > usage.limits.memory_bytes);
        table.row([
            row.name.clone(),
            megabytes(usage.memory_bytes),
            share(usage),
            megabytes(usage.memory_peak_bytes),
            usage.cpu_millis.map_or(UNKNOWN.to_owned(), |millis| format!("{:.1} s", millis as f64 / 1000.0)),
            format!("{} of {}", number(usage.processes), usage.limits.processes),
            number(usage.oom_kills),
        ]);
        table.paint(2, |text| if above { style.red(text) } else { text.to_owned() });
    }
    render_heading(&format!("{app} Usage"), style) + &table.render()
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or(UNKNOWN.to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / MEGABYTE))
}

fn share(usage: &Usage) -> String {
    let quota = usage.limits.memory_bytes.max(1);
    let percent =
        |bytes| format!("{:.1}% of {:.0} MB", bytes as f64 * 100.0 / quota as f64, quota as f64 / MEGABYTE);
    usage.memory_bytes.map_or(UNKNOWN.to_owned(), percent)
}

fn number<T: ToString>(count: Option<T>) -> String {
    count.map_or(UNKNOWN.to_owned(), |count| count.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::dozen::usage::Limits;
    use api::dyno::DynoState;
    use uuid::Uuid;

    fn row(name: &str, usage: Option<Usage>) -> ProcessUsage {
        ProcessUsage {
            id: Uuid::from_u128(1),
            name: name.to_owned(),
            process_type: "web".parse().expect("a type"),
            size: "Standard-1X".to_owned(),
            state: DynoState::Up,
            usage,
            unknown: None,
        }
    }

    #[test]
    fn what_is_counted_and_what_is_not() {
        let usage = Usage {
            memory_bytes: Some(528 << 20),
            memory_rss_bytes: Some(500 << 20),
            memory_cache_bytes: Some(28 << 20),
            memory_swap_bytes: Some(0),
            memory_peak_bytes: Some(700 << 20),
            cpu_millis: Some(12_345),
            processes: Some(9),
            oom_kills: Some(0),
            limits: Limits::from(domain::process::Limits::DEFAULT),
        };
        let uncounted = Usage {
            memory_bytes: None,
            memory_peak_bytes: None,
            cpu_millis: None,
            processes: None,
            oom_kills: None,
            ..usage
        };
        let rows = [row("web.1", Some(usage)), row("web.2", Some(uncounted)), row("web.3", None)];
        insta::assert_snapshot!(render("hello", &rows, Style::Plain), @r"
        === hello Usage

        Process  Memory    Of quota          Peak      CPU time  Processes  Out of memory
        web.1    528.0 MB  103.1% of 512 MB  700.0 MB  12.3 s    9 of 512   0
        web.2    -         -                 -         -         - of 512   -
        ");
        assert_eq!(render("hello", &rows[2..], Style::Plain), "");
    }
}
