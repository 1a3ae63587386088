//! Runs the scenes side by side and tells what came of each vector.

use crate::app::App;
use crate::document;
use crate::platform::Platform;
use crate::scenes::SCENES;
use crate::table::{self, Row, Verdict};
use crate::vector::{Outcome, Scene, Stage, Vector};
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Scenes begin one after the other, so that their deployments do not all want the processor at once.
const BETWEEN_BEGINNINGS: Duration = Duration::from_millis(300);

/// Runs the vectors whose number or scene is named, all of them if nothing is. Fails if one fails, or if a statement has none.
pub fn run(platform: &Platform, words: &[String]) -> ExitCode {
    let names: Vec<&str> = words.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    let rows = run_all(platform, &names);
    let misfits = document::misfits(document::TEXT);
    print!("{}", table::render(&rows, &document::statements(document::TEXT), names.is_empty()));
    misfits.iter().for_each(|misfit| println!("test {misfit} ... FAILED"));
    let failed = rows.iter().filter(|row| matches!(row.verdict, Verdict::Failed(_))).count() + misfits.len();
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out",
        rows.len() + misfits.len() - failed
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_all(platform: &Platform, names: &[&str]) -> Vec<Row> {
    let (rows, told) = channel();
    let suffix =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() % 1_000_000);
    let wanted: Vec<(&Scene, Vec<Vector>)> = SCENES
        .iter()
        .map(|scene| (scene, chosen(scene, names)))
        .filter(|(_, vectors)| !vectors.is_empty())
        .collect();
    let queue = Mutex::new(wanted.iter());
    std::thread::scope(|scope| {
        for player in 0..wanted.len().min(platform.at_once) {
            let (queue, rows) = (&queue, rows.clone());
            scope.spawn(move || {
                std::thread::sleep(BETWEEN_BEGINNINGS * u32::try_from(player).unwrap_or(0));
                while let Some((scene, vectors)) = next(queue) {
                    play(platform, scene, format!("c-{}-{suffix:06}", scene.name), vectors, &rows);
                }
            });
        }
        drop(rows);
        let mut all: Vec<Row> = told.iter().inspect(announce).collect();
        all.sort_by_key(|row| row.number);
        all
    })
}

/// The lock is held for this one step.
fn next<T>(queue: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// Speaks as the standard harness does, so that whoever counts its lines counts these.
fn announce(row: &Row) {
    let number = row.number;
    match &row.verdict {
        Verdict::Held => println!("test c_{number:02} ... ok"),
        Verdict::NotApplicable(reason) => println!("skipped: C-{number:02}: {reason}"),
        Verdict::Failed(reason) => println!("test c_{number:02} ... FAILED\n{reason}"),
    }
}

fn chosen(scene: &Scene, names: &[&str]) -> Vec<Vector> {
    let all = scene.vectors.iter().copied();
    let wanted = |vector: &Vector| {
        names.is_empty()
            || names.contains(&scene.name)
            || names.contains(&format!("C-{:02}", vector.number).as_str())
    };
    all.filter(wanted).collect()
}

fn play(platform: &Platform, scene: &Scene, name: String, vectors: &[Vector], rows: &Sender<Row>) {
    let tell = |row: Row| drop(rows.send(row));
    let begun = App::create(platform, name).and_then(|app| {
        (scene.source)(platform).map(|source| app.deploy(&source)).transpose()?;
        Ok(app)
    });
    match begun {
        Ok(app) => vectors.iter().for_each(|vector| tell(try_one(&Stage { platform, app: &app }, *vector))),
        Err(error) => {
            let reason = format!("its scene {} did not begin: {error:#}", scene.name);
            let row = |vector: &Vector| Row {
                number: vector.number,
                verdict: Verdict::Failed(reason.clone()),
                took: Duration::ZERO,
            };
            vectors.iter().map(row).for_each(tell);
        }
    }
}

fn try_one(stage: &Stage<'_>, vector: Vector) -> Row {
    let started = Instant::now();
    let verdict = match (vector.run)(stage) {
        Ok(Outcome::Held) => Verdict::Held,
        Ok(Outcome::NotApplicable(reason)) => Verdict::NotApplicable(reason),
        Err(error) => Verdict::Failed(format!("{error:#}")),
    };
    Row { number: vector.number, verdict, took: started.elapsed() }
}
