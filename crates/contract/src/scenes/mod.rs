//! The vectors, by the app that they need. Vectors of a scene run in the order in which they stand; scenes run side by side.

mod boot;
mod checks;
mod environment;
mod files;
mod jobs;
mod limits;
mod network;
mod restart;
mod stop;

use crate::vector::{Scene, vector};

pub const SCENES: &[Scene] = &[
    Scene {
        name: "grace",
        source: stop::source,
        vectors: &[vector(42, stop::c_42_who_does_not_end_is_killed_after_the_grace)],
    },
    Scene {
        name: "jobs",
        source: jobs::source,
        vectors: &[
            vector(86, jobs::c_86_commands_are_those_of_the_release_that_serves),
            vector(80, jobs::c_80_a_command_is_started_when_it_is_due),
        ],
    },
    Scene {
        name: "no-release",
        source: jobs::nothing,
        vectors: &[vector(85, jobs::c_85_without_a_release_a_run_is_skipped)],
    },
    Scene {
        name: "limits",
        source: limits::source,
        vectors: &[
            vector(64, limits::c_64_processes_and_threads_are_limited),
            vector(65, limits::c_65_tmp_has_a_size_and_holds_so_many_files),
            vector(66, limits::c_66_open_files_are_limited),
            vector(60, limits::c_60_above_the_quota_it_is_told_and_goes_on),
            vector(67, limits::c_67_what_it_uses_is_told_to_who_asks),
            vector(61, limits::c_61_at_the_hard_limit_it_ends_and_is_started_again),
            vector(70, limits::c_70_another_size_is_another_process_with_its_limits),
        ],
    },
    Scene {
        name: "hog",
        source: limits::source,
        vectors: &[
            vector(62, limits::c_62_what_is_left_after_a_kill_goes_on),
            vector(63, limits::c_63_samples_are_lines_of_the_log_of_who_asked),
        ],
    },
    Scene {
        name: "liveness",
        source: checks::liveness_source,
        vectors: &[
            vector(33, checks::c_33_a_process_that_is_not_alive_is_started_again),
            vector(34, checks::c_34_whoever_asks_for_the_end_goes_before_checks),
        ],
    },
    Scene {
        name: "readiness",
        source: checks::readiness_source,
        vectors: &[
            vector(35, checks::c_35_readiness_takes_out_of_the_routes_and_back),
            vector(36, checks::c_36_where_none_is_ready_requests_go_to_all),
            vector(37, checks::c_37_a_process_that_is_not_ready_holds_nothing_back),
        ],
    },
    Scene {
        name: "startup",
        source: checks::startup_source,
        vectors: &[
            vector(30, checks::c_30_up_when_every_startup_check_has_passed),
            vector(31, checks::c_31_a_startup_check_that_fails_ends_the_release),
            vector(32, checks::c_32_startup_checks_may_take_longer_than_the_boot_timeout),
        ],
    },
    Scene {
        name: "boot",
        source: boot::source,
        vectors: &[
            vector(20, boot::c_20_a_start_is_told_with_its_command),
            vector(131, boot::c_131_a_process_on_loopback_alone_is_told_why_nobody_comes),
            vector(21, boot::c_21_a_web_process_that_does_not_accept_ends_its_release),
        ],
    },
    Scene {
        name: "stop",
        source: stop::source,
        vectors: &[
            vector(40, stop::c_40_every_process_inside_gets_sigterm_and_requests_are_answered_before),
            vector(41, stop::c_41_what_becomes_of_the_place_is_told_before_the_signal),
            vector(43, stop::c_43_scaling_down_takes_the_highest_numbers),
            vector(44, stop::c_44_a_process_that_was_stopped_stays_down),
        ],
    },
    Scene {
        name: "restart",
        source: restart::source,
        vectors: &[
            vector(50, restart::c_50_any_end_is_a_crash_and_the_process_starts_again),
            vector(51, restart::c_51_a_restart_replaces_web_in_turn_and_others_at_once),
        ],
    },
    Scene {
        name: "rolling",
        source: restart::rolling_source,
        vectors: &[vector(52, restart::c_52_a_rolling_type_is_replaced_so_many_at_a_time)],
    },
    Scene {
        name: "budget",
        source: boot::source,
        vectors: &[vector(54, restart::c_54_a_release_that_crashes_too_often_is_rolled_back)],
    },
    Scene {
        name: "surroundings",
        source: environment::source,
        vectors: &[
            vector(1, environment::c_01_a_shell_runs_the_command_in_the_app_folder),
            vector(2, environment::c_02_each_process_of_the_formation_has_a_port),
            vector(3, environment::c_03_its_name_and_its_home),
            vector(4, environment::c_04_programs_are_found_and_text_is_utf_8),
            vector(5, environment::c_05_the_time_is_utc_unless_it_is_told_otherwise),
            vector(7, environment::c_07_processes_are_told_app_release_and_themselves),
            vector(8, environment::c_08_workers_of_a_web_server_follow_from_the_size),
            vector(9, environment::c_09_there_is_nothing_else),
            vector(10, files::c_10_the_app_folder_is_the_source_and_read_only),
            vector(12, files::c_12_the_stack_is_there_and_devices_are_few),
            vector(13, files::c_13_proc_shows_its_own_processes_only),
            vector(14, files::c_14_it_is_a_user_without_rights),
            vector(15, files::c_15_input_is_empty_and_output_is_the_log),
            vector(17, files::c_17_it_is_born_as_processes_should_be),
            vector(18, files::c_18_its_host_name_is_its_name),
            vector(132, network::c_132_what_lies_beyond_the_platform_is_reached),
            vector(133, network::c_133_loopback_is_its_own),
            vector(134, network::c_134_requests_come_with_what_the_router_knows),
            vector(135, network::c_135_every_request_has_an_id_that_the_log_knows),
            vector(136, network::c_136_names_resolve),
            vector(137, network::c_137_connections_change_their_protocol),
            vector(138, network::c_138_answers_pass_as_they_come),
            vector(16, files::c_16_lines_of_the_log_are_lines_of_the_app),
            vector(11, files::c_11_tmp_is_its_own_and_new),
            vector(19, files::c_19_orphans_are_reaped_and_nothing_outlives_the_first_process),
            vector(130, network::c_130_all_addresses_of_either_family_are_reached),
            vector(6, environment::c_06_config_vars_come_as_they_are_and_the_platforms_own_win),
        ],
    },
];
