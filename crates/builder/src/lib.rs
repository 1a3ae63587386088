//! From source to slug.
//!
//! [`Builder::build`] looks at an extracted source tree ([`detect()`], pure), lets a native builder work, and publishes the result
//! in the slug store. What executes an app's code runs in the sandbox, as the app's build uid; this side only reads single small
//! files by `openat2`, passes output lines on, and extracts what the sandbox hands out.
//!
//! * [`step`] is the half that runs *inside* the sandbox, as an applet of the same binary.
//! * [`native::static_site::serve`] is the static file server, an applet as well: it runs as a process of the app.
//!
//! Must not: know releases or the ledger (the engine tells what to build and records how it ended), run an app's code outside
//! the sandbox, keep state of its own between builds except the app's build cache.

mod advice;
mod build;
mod cancel;
mod clean;
pub mod detect;
mod error;
mod execute;
mod install;
mod look;
mod mirrors;
pub mod native;
mod output;
mod processes;
mod request;
pub mod step;
mod variables;

pub use build::Builder;
pub use cancel::CancelToken;
pub use clean::{Cleaned, clean_abandoned};
pub use detect::{Choice, Detected, Listing, NotDetected, detect};
pub use error::{BuildError, Fault};
pub use mirrors::{InvalidMirrorUrl, MirrorUrl, Mirrors};
pub use output::{Output, quoted};
pub use request::{BuildEnvironment, BuildLimits, BuildRequest, BuiltSlug, PreviousBuild};
