//! What an app may switch on, by Heroku's names. What is on for every app is no feature here: the API tells of it all the same.

/// A switch of an app. It is off until somebody turns it on; processes that run follow at their next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// What a process uses is told in its log, every 20 s.
    LogRuntimeMetrics,
}

impl Feature {
    pub const ALL: [Self; 1] = [Self::LogRuntimeMetrics];

    pub const fn name(self) -> &'static str {
        match self {
            Self::LogRuntimeMetrics => "log-runtime-metrics",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }
}
