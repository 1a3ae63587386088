//! The project's own commands: `cargo xtask demo|test|tidy|bench|fuzz`.
//!
//! - `demo` starts a server, pushes an example and shows the twelve factors with evidence fetched over the public API
//! - `test` installs what tests need and runs every suite
//! - `tidy` checks what the compiler cannot: layers, sizes, words, features
//! - `bench` measures, and prints ratios against a peer of the same run
//! - `fuzz` runs a fuzz target for a while

mod bench;
mod demo;
mod fuzz;
mod install;
mod shell;
mod test;
mod tidy;
mod vm;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>

  demo [--once] [--json]     start a server, push examples/hello and show the twelve factors
  test [--strict] [NAME...]  install what tests need and run every suite, or the named ones
  test --vm [NAME...]        install, push, restart, reboot and pull the plug in a virtual machine like a user's
  tidy                       check layers, sizes, words and features of the source
  bench NAME [--json]        measure: start, deploy, footprint
  fuzz NAME [SECONDS]        run a fuzz target with cargo-fuzz and nightly";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match words.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", &[][..]),
    };
    let outcome = match command {
        "demo" => demo::run(rest),
        // The backing service of the demo, which starts it in a namespace of its own.
        "demo-service" => demo::serve_backing_service(rest),
        "test" if rest.iter().any(|word| word == "--vm") => vm::run(rest),
        "test" => test::run(rest),
        "tidy" => tidy::run(),
        "bench" => bench::run(rest),
        "fuzz" => fuzz::run(rest),
        other => {
            eprintln!(
                "{}{USAGE}",
                if other.is_empty() { String::new() } else { format!("unknown command {other}\n\n") }
            );
            return ExitCode::from(64);
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask {command}: {error:#}");
        ExitCode::FAILURE
    })
}
