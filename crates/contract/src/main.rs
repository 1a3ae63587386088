//! `contract [C-NN|SCENE...]`: runs the vectors against the platform that the environment names. See [`contract::platform`] for the
//! variables.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let lookup = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match contract::Platform::from_environment(&lookup) {
        Ok(platform) => contract::run(&platform, &words),
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(64)
        }
    }
}
