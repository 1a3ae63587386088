//! Which of Heroku's links there are: the page `docs/reference/api-coverage.md` is made here from the route table and the list of
//! absent links, and both are held against the published schema.

use crate::Case;
use crate::contract::plain;
use crate::schema;
use server::links::{ABSENT, Group, Verdict};
use server::route_table;
use server::table::{Gives, Needs, Route};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

pub const CASES: &[Case] = &[
    ("coverage::every_link_is_a_route_or_absent_for_a_reason", every_link_is_accounted_for),
    ("coverage::the_page_is_up_to_date", the_page_is_up_to_date),
];

fn every_link_is_accounted_for() {
    let Some(oracle) = schema::oracle() else {
        eprintln!("skipped: the published schema is not there (set DOZEN_ORACLE)");
        return;
    };
    let published: BTreeSet<_> = oracle.links().map(|(method, href)| format!("{method} {href}")).collect();
    let routes: BTreeSet<_> =
        route_table().iter().map(|route| format!("{} {}", route.method, plain(route.path))).collect();
    let listed: Vec<_> = ABSENT.iter().flat_map(|group| group.links).map(|link| (*link).to_owned()).collect();
    let absent: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), absent.len(), "a link is in two groups");
    let both: Vec<_> = routes.intersection(&absent).collect();
    assert!(both.is_empty(), "routes that are listed as absent: {both:#?}");
    let unknown: Vec<_> = absent.difference(&published).collect();
    assert!(unknown.is_empty(), "absent links that nobody published: {unknown:#?}");
    let forgotten: Vec<_> =
        published.iter().filter(|link| !routes.contains(*link) && !absent.contains(*link)).collect();
    assert!(forgotten.is_empty(), "links without a word on them: {forgotten:#?}");
}

fn the_page_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/api-coverage.md");
    keep_up(&path, &render());
}

/// Compares a generated file with what is checked in, or writes it.
pub fn keep_up(path: &PathBuf, made: &str) {
    if std::env::var_os("DOZEN_WRITE_DOCS").is_some() {
        std::fs::write(path, made).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == made,
        "{} is not up to date: run `DOZEN_WRITE_DOCS=1 cargo test -p server --test door`",
        path.display()
    );
}

fn render() -> String {
    let mut table = route_table();
    table.sort_by_key(|route| (route.path, route.method));
    let (own, herokus): (Vec<_>, Vec<_>) = table.into_iter().partition(is_own);
    let links = ABSENT.iter().map(|group| group.links.len()).sum::<usize>();
    let mut page = format!(
        "# Which of Heroku's API there is\n\n\
         Made from the server's route table by its tests; not to be edited by hand.\n\n\
         Of the links of the Heroku Platform API {} are there and {links} are not. A request to one that is not there is \
         answered with status 501, the error id `not_implemented`, and the reason below. A request to any other path is \
         answered 404.\n\n\
         The last column names the least role that may ask: over the app for paths that name an app, else over the server.\n\n\
         ## What there is\n\n",
        herokus.len()
    );
    render_routes(&mut page, &herokus);
    page.push_str("\n## Beside Heroku's API\n\n");
    render_routes(&mut page, &own);
    for (verdict, title) in [(Verdict::Later, "Not yet"), (Verdict::OutOfScope, "Out of scope")] {
        let _ = writeln!(page, "\n## {title}\n");
        page.push_str("| What | Why | Links |\n|---|---|---|\n");
        ABSENT
            .iter()
            .filter(|group| group.verdict == verdict)
            .for_each(|group| render_group(&mut page, group));
    }
    page
}

fn is_own(route: &Route) -> bool {
    route.path.starts_with("/dozen/") || matches!(route.about.gives, Gives::Bytes(_))
}

fn render_routes(page: &mut String, routes: &[Route]) {
    page.push_str("| Link | What it does | Who may |\n|---|---|---|\n");
    for route in routes {
        let who = match route.about.needs {
            Needs::Nothing => "anybody".to_owned(),
            Needs::Ticket => "whoever has the address".to_owned(),
            Needs::Token => "any account".to_owned(),
            Needs::SomeApp(action) => format!("{} of some app", action.least_role()),
            Needs::App(action) | Needs::Installation(action) => action.least_role().to_string(),
        };
        let _ = writeln!(page, "| `{} {}` | {} | {who} |", route.method, route.path, route.about.summary);
    }
}

fn render_group(page: &mut String, group: &Group) {
    let links: Vec<_> = group.links.iter().map(|link| format!("`{link}`")).collect();
    let _ = writeln!(page, "| {} | {} | {} |", group.what, group.why, links.join("<br>"));
}
