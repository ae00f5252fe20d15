//! One set of test bodies, run against both engines: what a caller of the log may rely on, whichever engine is behind it.
//! Kafka's are told where it is by `KAFKA_BROKERS`, and fail without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod appends;
mod bench;
mod child;
mod embedded;
mod jobs;
mod kafka;
mod lanes;
mod murmur2;
mod processes;
mod reads;
mod sharing;
mod topics;
mod work;

/// Makes one test of each body for an engine.
macro_rules! conformance {
    ($engine:expr => $($area:ident::$body:ident),+ $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $body() {
            let test = concat!(module_path!(), "::", stringify!($body));
            crate::$area::$body(crate::bench::Bench::new($engine, test)).await;
        }
    )+};
}

/// Every body, once for the engine whose module calls this.
macro_rules! every_body {
    ($engine:expr) => {
        crate::conformance! { $engine =>
            appends::records_of_a_key_keep_their_order,
            appends::a_key_stands_on_the_partition_where_java_puts_it,
            appends::keys_headers_and_times_are_kept,
            appends::a_record_of_a_megabyte_and_a_half_goes_through,
            appends::a_too_large_record_is_refused_with_its_size,
            appends::a_closed_log_takes_no_more,
            lanes::a_commit_moves_outputs_and_positions_together,
            lanes::positions_outlive_a_restart,
            lanes::a_rewind_gives_the_same_records_again,
            lanes::an_aborted_commit_leaves_nothing,
            lanes::work_that_gives_back_leaves_nothing,
            lanes::work_that_panics_ends_the_lane_and_leaves_nothing,
            lanes::an_output_for_a_missing_topic_aborts,
            lanes::a_fenced_lane_commits_nothing,
            lanes::a_lane_of_another_group_fences_by_its_identity,
            lanes::a_poll_keeps_its_limits,
            lanes::a_poll_that_nobody_waits_for_loses_nothing,
            lanes::outputs_without_input_are_committed,
            jobs::a_jobs_outputs_come_together_and_in_order,
            jobs::a_jobs_failed_commit_leaves_nothing,
            jobs::a_fenced_job_commits_nothing,
            jobs::a_killed_job_leaves_whole_commits_and_its_progress,
            jobs::a_compacted_topic_keeps_the_last_of_each_key,
            sharing::lanes_share_partitions_and_hand_them_over,
            sharing::a_dropped_lane_hands_over,
            processes::what_is_acknowledged_outlives_kill_9,
            processes::a_killed_lane_loses_and_doubles_nothing,
            reads::a_reader_starts_where_it_is_told_and_reaches_the_end,
            reads::bounds_follow_the_records,
            reads::times_lead_to_offsets,
            topics::topics_are_created_once_and_described,
            topics::a_missing_topic_is_named,
        }
    };
}

pub(crate) use {conformance, every_body};
