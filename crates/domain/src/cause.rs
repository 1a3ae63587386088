//! Errors in one line, for people.

use std::error::Error;

/// An error and what it comes from: `cannot read x: no such file`. A cause that the line already ends with is not said twice.
pub fn chain(error: &dyn Error) -> String {
    let sources = std::iter::successors(error.source(), |&source| source.source());
    sources.map(ToString::to_string).fold(error.to_string(), |line, cause| {
        if line.ends_with(&cause) { line } else { format!("{line}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt;

    #[derive(Debug)]
    struct Step(&'static str, Option<Box<Step>>);

    impl fmt::Display for Step {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Step {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    fn step(text: &'static str, cause: Step) -> Step {
        Step(text, Some(Box::new(cause)))
    }

    #[test]
    fn causes_follow_and_repeats_are_left_out() {
        assert_eq!(chain(&Step("top", None)), "top");
        assert_eq!(chain(&step("top", step("middle", Step("bottom", None)))), "top: middle: bottom");
        assert_eq!(chain(&step("top: bottom", Step("bottom", None))), "top: bottom");
    }
}
