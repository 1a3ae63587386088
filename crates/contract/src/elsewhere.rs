//! Statements that no app and no client can see within minutes: clocks that jump, machines without a controller, attempts that are made outside as well,
//! other builds. Each names the test
//! that shows it, by a name that stands in the source of that test.

/// Number and test.
pub const ELSEWHERE: &[(u16, &str)] = &[
    (53, "c_53_old_processes_are_cycled_and_that_is_no_crash"),
    (68, "c_68_without_a_memory_controller_nothing_is_pretended"),
    (69, "c_69_a_quota_of_cpu_time_is_kept_and_taken_away_again"),
    (81, "c_81_an_instant_that_a_clock_shows_twice_runs_once"),
    (82, "c_82_of_missed_runs_the_latest_is_started_and_the_others_are_told"),
    (83, "c_83_a_clock_that_is_put_back_runs_nothing_twice"),
    (84, "c_84_concurrency_is_allowed_forbidden_or_replaces"),
    (139, "c_139_an_app_reaches_no_other_app_and_nothing_of_dozen_or_the_host"),
    (140, "c_140_the_filter_in_force_says_of_every_call_what_the_list_says"),
    (141, "c_141_no_attempt_gets_out"),
    (142, "c_142_terminals_have_an_end"),
    (148, "c_148_what_one_app_uses_up_another_still_has"),
    (149, "c_149_a_neighbour_is_served_during_every_bomb"),
    (150, "c_150_a_shim_goes_on_as_another_build_and_the_app_does_not_notice"),
    (151, "c_151_a_stop_is_carried_on_by_the_new_program"),
    (152, "c_152_what_cannot_take_over_is_refused_and_the_old_shim_goes_on"),
];

#[cfg(test)]
mod tests {
    use super::ELSEWHERE;
    use std::path::Path;

    /// Everything that is Rust below a folder, but for this crate.
    fn sources(below: &Path, into: &mut String) {
        let entries = std::fs::read_dir(below).expect("a folder of sources").flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| !path.ends_with("crates/contract")) {
            if path.is_dir() {
                sources(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push_str(&std::fs::read_to_string(&path).expect("a source"));
            }
        }
    }

    #[test]
    fn every_test_that_is_named_exists() {
        let mut all = String::new();
        sources(
            Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).canonicalize().expect("crates").as_path(),
            &mut all,
        );
        for (number, test) in ELSEWHERE {
            let exists = all.contains(&format!("fn {test}(")) || all.contains(&format!("(\"{test}\", "));
            assert!(exists, "C-{number:02}: there is no test {test}");
        }
    }
}
