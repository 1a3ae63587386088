//! Named, deliberate mistakes in the rules, so that the simulator can prove that it would notice them.
//!
//! They exist only with the feature `mutants`, which only the simulator's own build turns on; otherwise none is ever active.

macro_rules! mutants {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// One deliberate mistake.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[$doc])* $variant),+
        }

        impl Mutant {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }
    };
}

mutants! {
    /// A process is stopped although a router has not acknowledged the table without it.
    StopWithoutAck = "stop-without-ack",
    /// A process is stopped while the published table routes to it.
    StopWhileRouted = "stop-while-routed",
    /// A router that is alive and says nothing is taken for one that has acknowledged.
    SilenceIsConsent = "silence-is-consent",
    /// A process is routed before it was seen up.
    RouteStarting = "route-starting",
    /// A process that is not ready is routed beside ready ones.
    RouteUnready = "route-unready",
    /// An app none of whose processes is ready has no route.
    CloseOnUnready = "close-on-unready",
    /// A start is given up before the app's own startup checks have failed.
    IgnoreStartupChecks = "ignore-startup-checks",
    /// A candidate is routed before its promotion.
    RouteCandidate = "route-candidate",
    /// While a candidate exists, the current release is taken out of the table.
    UnrouteEarly = "unroute-early",
    /// A slot is filled although its last process is still stopping.
    FillStoppingSlot = "fill-stopping-slot",
    /// A successor of a stop-first type starts while its predecessor lives.
    OverlapStopFirst = "overlap-stop-first",
    /// A started job that has vanished is started again.
    RestartLostJob = "restart-lost-job",
    /// A port is given out while a run folder still holds it.
    ShareEndpoint = "share-endpoint",
    /// Where apps share a network, a port that a process of another app has is given out.
    SharePort = "share-port",
    /// A port is given out while a router may still hold it.
    ReuseEndpointEarly = "reuse-endpoint-early",
    /// The process budget is not looked at.
    IgnoreBudget = "ignore-budget",
    /// Crashed slots start again without a wait.
    NoBackOff = "no-back-off",
    /// Slots that crash most are served first when the budget is short.
    CrashersFirst = "crashers-first",
    /// Recurring commands are started before places of formations when the budget is short.
    CronFirst = "cron-first",
    /// A release is promoted when one of its web processes is up instead of all.
    PromoteOnFirstUp = "promote-on-first-up",
    /// A candidate's processes start before its release phase has ended.
    SkipReleasePhase = "skip-release-phase",
    /// A table is published with a generation that is not greater than every one seen.
    ForgetGeneration = "forget-generation",
    /// An ended process is cleaned up before the ledger has recorded its end.
    RemoveUnrecorded = "remove-unrecorded",
    /// Rolling types are replaced all at once.
    IgnoreMaxInFlight = "ignore-max-in-flight",
    /// A roll-out goes on although what it has started does not stay.
    RollOverCrashes = "roll-over-crashes",
    /// The end of a process that was cycled counts as a crash.
    CycleIsCrash = "cycle-is-crash",
    /// A release is rolled back although there is a newer one.
    RollBackOverNewer = "roll-back-over-newer",
    /// A release is rolled back when its crash budget is used up and not overdrawn.
    RollBackAtBudget = "roll-back-at-budget",
    /// Ended processes are never cleaned up.
    NeverRemove = "never-remove",
}

#[cfg(not(feature = "mutants"))]
pub(crate) const fn active(_mutant: Mutant) -> bool {
    false
}

#[cfg(feature = "mutants")]
mod chosen {
    use super::Mutant;
    use std::sync::OnceLock;

    static CHOSEN: OnceLock<Option<Mutant>> = OnceLock::new();

    pub(crate) fn active(mutant: Mutant) -> bool {
        CHOSEN.get().copied().flatten() == Some(mutant)
    }

    /// Chooses the one mistake of this run. Only the first call counts.
    pub fn choose(mutant: Option<Mutant>) {
        CHOSEN.get_or_init(|| mutant);
    }
}

#[cfg(feature = "mutants")]
pub(crate) use chosen::active;
#[cfg(feature = "mutants")]
pub use chosen::choose;
