//! An app that wants to get out. Each attempt is made in a sandbox, where it must be refused in the way that is expected, and
//! outside as root, where nothing stands in its way: an attempt that fails for another reason shows nothing. In both forms.
//!
//! What is tried over the network of a whole server is in `crates/cli/tests/hostile.rs`; in words: `docs/explanation/isolation.md`.

mod attempt;
mod blows;
pub mod bombs;
mod calls;
mod scene;
pub mod takeover;
mod things;
pub mod walk;

pub use attempt::{SUCCEEDED, make};

use crate::world::World;
use attempt::{Attempt, Ordinary};
use sandbox::probe::Layer;
use scene::Scene;
use std::collections::BTreeMap;
use std::process::Command;

/// Least that must have been refused: what the machine's kernel lacks does not count.
const LEAST: usize = 80;

/// The two forms of Dozen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Root,
    OrdinaryUser,
}

impl Form {
    pub const ALL: [Self; 2] = [Self::Root, Self::OrdinaryUser];

    const fn word(self) -> &'static str {
        match self {
            Self::Root => "as_root",
            Self::OrdinaryUser => "as_an_ordinary_user",
        }
    }
}

/// What became of an attempt.
enum Verdict {
    Refused,
    /// Not protected against in this form, as documented.
    Open,
    /// This kernel was built without it.
    Lacking,
    /// Not as it must be.
    Wrong(&'static str),
}

struct Row {
    attempt: Attempt,
    outside: String,
    inside: String,
    verdict: Verdict,
}

fn all() -> impl Iterator<Item = Attempt> {
    calls::ATTEMPTS.iter().chain(things::ATTEMPTS).copied()
}

/// The names of the tests: one for each attempt in each form.
pub fn test_name(form: Form, attempt: &str) -> String {
    format!("hostile::{}::{attempt}", form.word())
}

/// Whether it is the name of a test of this form.
pub fn is_of(form: Form, name: &str) -> bool {
    name.starts_with(&test_name(form, ""))
}

pub fn test_names() -> Vec<String> {
    Form::ALL.iter().flat_map(|form| all().map(|attempt| test_name(*form, attempt.name))).collect()
}

/// Makes every attempt, prints the table, and tells of each whether it came to what it must.
pub fn c_141_no_attempt_gets_out(world: &World, form: Form) -> Vec<(String, bool)> {
    let rows = match form {
        Form::Root => rows_of(world, form),
        Form::OrdinaryUser => {
            let ordinary = world.ordinary();
            let rows = rows_of(&ordinary, form);
            assert_eq!(ordinary.end(), [""; 0]);
            rows
        }
    };
    print(form, &rows);
    rows.iter()
        .map(|row| (test_name(form, row.attempt.name), !matches!(row.verdict, Verdict::Wrong(_))))
        .collect()
}

fn rows_of(world: &World, form: Form) -> Vec<Row> {
    let scene = Scene::set(world, form);
    let without_landlock = !world.connect().status().unwrap().probe.has(Layer::Landlock);
    let mut inside = make_inside(world, &scene);
    let rows: Vec<Row> = all()
        .map(|attempt| {
            let inside = inside.remove(attempt.name).unwrap_or_default();
            let outside = make_outside(&attempt, &scene);
            let verdict = judge(&attempt, form, without_landlock, &inside, &outside);
            Row { attempt, outside, inside, verdict }
        })
        .collect();
    scene.end(world);
    let refused = rows.iter().filter(|row| matches!(row.verdict, Verdict::Refused)).count();
    assert!(refused >= LEAST, "{refused} attempts were refused, {LEAST} at least have to be");
    rows
}

fn judge(attempt: &Attempt, form: Form, without_landlock: bool, inside: &str, outside: &str) -> Verdict {
    if attempt.lacking.contains(&outside) {
        return Verdict::Lacking;
    }
    let had_its_way = match attempt.beyond {
        [] => outside == SUCCEEDED,
        beyond => beyond.contains(&outside),
    };
    if !had_its_way {
        return Verdict::Wrong("shows nothing: it fails outside as well");
    }
    let expected = match (form, attempt.ordinary) {
        (Form::Root, _) | (Form::OrdinaryUser, Ordinary::Alike) => attempt.refused,
        (Form::OrdinaryUser, Ordinary::ByLandlock(_)) if without_landlock => &[],
        (Form::OrdinaryUser, Ordinary::Refused(refused) | Ordinary::ByLandlock(refused)) => refused,
        (Form::OrdinaryUser, Ordinary::Open) => &[],
    };
    match (expected, inside) {
        ([], SUCCEEDED) => Verdict::Open,
        ([], _) => Verdict::Wrong("refused now: say so in the documentation"),
        (expected, inside) if expected.contains(&inside) => Verdict::Refused,
        (_, SUCCEEDED) => Verdict::Wrong("GOT OUT"),
        (_, _) => Verdict::Wrong("refused in another way than is known"),
    }
}

/// All in one process of an app, each in a program of its own. What each came to, by its name.
fn make_inside(world: &World, scene: &Scene) -> BTreeMap<String, String> {
    let line = |attempt: Attempt| {
        let (object, _) = (attempt.at)(scene);
        let name = attempt.name;
        format!("echo \"{name}: $(/.dozen/dozen attempt {name} '{object}' 2>/dev/null || echo status $?)\"\n")
    };
    let script = world.data.slug_tree(&world.slug).join("attempts.sh");
    std::fs::write(&script, all().map(line).collect::<String>()).unwrap();
    let ended = world.run_line("exec bash attempts.sh 2>/dev/null");
    assert!(ended.exit.status.is_success(), "{:?}: {:?}", ended.exit, ended.lines.all());
    let lines = ended.lines.stdout();
    lines.iter().filter_map(|line| line.split_once(": ")).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

/// As root on the host, by a shell that has left something open.
fn make_outside(attempt: &Attempt, scene: &Scene) -> String {
    let (_, object) = (attempt.at)(scene);
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "exec 7</dev/null; \"$@\" 2>/dev/null || echo status $?", "sh"]);
    command.arg(program).args(["attempt", attempt.name, &object]);
    String::from_utf8_lossy(&command.output().unwrap().stdout).trim().to_owned()
}

fn print(form: Form, rows: &[Row]) {
    println!("\nhostile, {}:", form.word().replace('_', " "));
    println!("  {:<22} {:<64} {:<12} {:<14} verdict", "attempt", "to gain", "outside", "inside");
    for row in rows {
        let verdict = match row.verdict {
            Verdict::Refused => "refused",
            Verdict::Open => "open in this form",
            Verdict::Lacking => "not counted: this kernel has no such thing",
            Verdict::Wrong(why) => why,
        };
        let Attempt { name, aim, .. } = row.attempt;
        println!("  {name:<22} {aim:<64} {:<12} {:<14} {verdict}", row.outside, row.inside);
    }
    let count = |wanted: fn(&Verdict) -> bool| rows.iter().filter(|row| wanted(&row.verdict)).count();
    println!(
        "  {} attempts: {} refused, {} open, {} not counted, {} wrong\n",
        rows.len(),
        count(|verdict| matches!(verdict, Verdict::Refused)),
        count(|verdict| matches!(verdict, Verdict::Open)),
        count(|verdict| matches!(verdict, Verdict::Lacking)),
        count(|verdict| matches!(verdict, Verdict::Wrong(_))),
    );
}
