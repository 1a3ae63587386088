//! The simulator: plays the rules of `domain` against a small, hostile world, one run per seed.
//!
//! `sim --seeds 20000 [--from 0] [--mutant NAME] [--trace]` prints the first seed that breaks a property and how, and exits 1;
//! with `--mutant` (a build with the feature `mutants`) it is a success to break one. `--mutants` lists their names.

mod calm;
mod checks;
mod in_flight;
mod ledger;
mod random;
mod run;
mod world;

use std::process::ExitCode;

/// What the command line asks for.
struct Arguments {
    seeds: u64,
    from: u64,
    mutant: Option<String>,
    trace: Trace,
}

/// Whether a failed run's steps are printed.
#[derive(PartialEq, Eq)]
enum Trace {
    Quiet,
    Full,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|arguments| simulate(&arguments)) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("sim: {message}");
            ExitCode::from(64)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments { seeds: 1_000, from: 0, mutant: None, trace: Trace::Quiet };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--seeds" => arguments.seeds = number(&value()?)?,
            "--from" => arguments.from = number(&value()?)?,
            "--mutant" => arguments.mutant = Some(value()?),
            "--trace" => arguments.trace = Trace::Full,
            "--mutants" => {
                domain::mutant::Mutant::ALL.iter().for_each(|mutant| println!("{}", mutant.name()));
                std::process::exit(0);
            }
            other => {
                return Err(format!(
                    "unknown argument {other}; known: --seeds --from --mutant --mutants --trace"
                ));
            }
        }
    }
    Ok(arguments)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not a number"))
}

fn simulate(arguments: &Arguments) -> Result<ExitCode, String> {
    choose(arguments.mutant.as_deref())?;
    let last = arguments.from + arguments.seeds;
    for seed in arguments.from..last {
        if let Err(failure) = run::play(seed) {
            if arguments.trace == Trace::Full {
                failure.trace.iter().for_each(|line| println!("{line}"));
            }
            println!("seed {seed}: {}", failure.violation);
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("{} seeds from {}: every property held", arguments.seeds, arguments.from);
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "mutants")]
fn choose(name: Option<&str>) -> Result<(), String> {
    use domain::mutant::{Mutant, choose};
    let Some(name) = name else { return Ok(choose(None)) };
    let known = Mutant::ALL.iter().find(|mutant| mutant.name() == name);
    choose(Some(*known.ok_or(format!("no mutant \"{name}\"; see --mutants"))?));
    Ok(())
}

#[cfg(not(feature = "mutants"))]
fn choose(name: Option<&str>) -> Result<(), String> {
    name.map_or(Ok(()), |_| Err("--mutant needs a build with the feature `mutants`".into()))
}
