// SPDX-License-Identifier: MIT
/* Every promise, in the order of docs/kernel-promises.md: sending, receiving, routes, epoll. */
#include "promise.h"

extern const struct promise promise_tx_number_per_call;
extern const struct promise promise_tx_numbers_wrap;
extern const struct promise promise_tx_failed_call_takes_none;
extern const struct promise promise_tx_zero_length_takes_none;
extern const struct promise promise_tx_partial_send_takes_one;
extern const struct promise promise_tx_cork_takes_one_each;
extern const struct promise promise_tx_fastopen_takes_one;
extern const struct promise promise_tx_accepted_child_starts_at_0;
extern const struct promise promise_tx_foreign_sends_look_like_ours;
extern const struct promise promise_tx_udp_zero_length_takes_one;
extern const struct promise promise_tx_udp_failed_call_takes_one;
extern const struct promise promise_tx_udp_pages_of_a_packet;
extern const struct promise promise_tx_notes_merge;
extern const struct promise promise_tx_disconnect_returns_all;
extern const struct promise promise_tx_disconnect_out_of_order;
extern const struct promise promise_tx_errqueue_never_blocks;
extern const struct promise promise_tx_peek_consumes;
extern const struct promise promise_tx_v4mapped_says_ipv6;
extern const struct promise promise_tx_control_length;
extern const struct promise promise_tx_loopback_says_copied;
extern const struct promise promise_tx_device_does_not_copy;
extern const struct promise promise_tx_veth_drop_is_no_copy;
extern const struct promise promise_tx_tap_says_copied;
extern const struct promise promise_tx_stamp_says_copied;
extern const struct promise promise_tx_without_sg_copies;
extern const struct promise promise_tx_epollerr_unasked;
extern const struct promise promise_tx_note_is_no_error;
extern const struct promise promise_tx_stamps_share_the_queue;
extern const struct promise promise_tx_enobufs_locked_memory;
extern const struct promise promise_tx_enobufs_option_memory;
extern const struct promise promise_tx_optmem_is_shown;
extern const struct promise promise_tx_close_forgets_numbers;
extern const struct promise promise_tx_munmap_in_flight;
extern const struct promise promise_tx_memory_is_shared;
extern const struct promise promise_tx_flag_needs_option;
extern const struct promise promise_tx_sendfile_sigpipe;
extern const struct promise promise_tx_sendfile_shrunk_file;
extern const struct promise promise_tx_outq_counts_unacked;
extern const struct promise promise_tx_outq_lies_after_disconnect;
extern const struct promise promise_tx_unix_refuses;
extern const struct promise promise_tx_mptcp_refuses;
extern const struct promise promise_tx_tls_refuses;
extern const struct promise promise_tx_vsock_takes_option;
extern const struct promise promise_uring_error_notifies;
extern const struct promise promise_uring_reports_usage;
extern const struct promise promise_uring_sendmsg_is_charged;
extern const struct promise promise_uring_cancelled_link_notifies;
extern const struct promise promise_uring_waitall_goes_on;
extern const struct promise promise_uring_deferred_needs_eventfd;
extern const struct promise promise_uring_flag_may_be_cleared;
extern const struct promise promise_uring_flag_falls_with_work;
extern const struct promise promise_uring_registered_keeps_pages;
extern const struct promise promise_uring_disconnect_returns_all;
extern const struct promise promise_rx_option_is_getsockopt;
extern const struct promise promise_rx_struct_lengths;
extern const struct promise promise_rx_fields_by_length;
extern const struct promise promise_rx_refused_elsewhere;
extern const struct promise promise_rx_window_is_read_only;
extern const struct promise promise_rx_any_window_serves;
extern const struct promise promise_rx_window_pins_its_socket;
extern const struct promise promise_rx_unfilled_is_sigbus;
extern const struct promise promise_rx_dontfork_hides_window;
extern const struct promise promise_rx_unmappable_gives_hint;
extern const struct promise promise_rx_sender_decides;
extern const struct promise promise_rx_segments_decide;
extern const struct promise promise_rx_copybuf_copies_whole;
extern const struct promise promise_rx_clean_hint_maps;
extern const struct promise promise_rx_length_overwrites_filled;
extern const struct promise promise_rx_eio_is_end;
extern const struct promise promise_rx_err_shown_once;
extern const struct promise promise_rx_inq_counts_fin;
extern const struct promise promise_rx_urgent_mark_stops;
extern const struct promise promise_rx_lowat_gates_poll;
extern const struct promise promise_rx_mapped_pages_forward;
extern const struct promise promise_rx_mapped_pages_write_direct;
extern const struct promise promise_rx_local_peer_rewrites;
extern const struct promise promise_rx_udp_train_comes_whole;
extern const struct promise promise_route_to_self_is_local;
extern const struct promise promise_route_veth_has_no_bus;
extern const struct promise promise_epoll_nested_shows_in_only;
extern const struct promise promise_epoll_nested_edge_is_quiet;

const struct promise *const promise_table[] = {
	&promise_tx_number_per_call,
	&promise_tx_numbers_wrap,
	&promise_tx_failed_call_takes_none,
	&promise_tx_zero_length_takes_none,
	&promise_tx_partial_send_takes_one,
	&promise_tx_cork_takes_one_each,
	&promise_tx_fastopen_takes_one,
	&promise_tx_accepted_child_starts_at_0,
	&promise_tx_foreign_sends_look_like_ours,
	&promise_tx_udp_zero_length_takes_one,
	&promise_tx_udp_failed_call_takes_one,
	&promise_tx_udp_pages_of_a_packet,
	&promise_tx_notes_merge,
	&promise_tx_disconnect_returns_all,
	&promise_tx_disconnect_out_of_order,
	&promise_tx_errqueue_never_blocks,
	&promise_tx_peek_consumes,
	&promise_tx_v4mapped_says_ipv6,
	&promise_tx_control_length,
	&promise_tx_loopback_says_copied,
	&promise_tx_device_does_not_copy,
	&promise_tx_veth_drop_is_no_copy,
	&promise_tx_tap_says_copied,
	&promise_tx_stamp_says_copied,
	&promise_tx_without_sg_copies,
	&promise_tx_epollerr_unasked,
	&promise_tx_note_is_no_error,
	&promise_tx_stamps_share_the_queue,
	&promise_tx_enobufs_locked_memory,
	&promise_tx_enobufs_option_memory,
	&promise_tx_optmem_is_shown,
	&promise_tx_close_forgets_numbers,
	&promise_tx_munmap_in_flight,
	&promise_tx_memory_is_shared,
	&promise_tx_flag_needs_option,
	&promise_tx_sendfile_sigpipe,
	&promise_tx_sendfile_shrunk_file,
	&promise_tx_outq_counts_unacked,
	&promise_tx_outq_lies_after_disconnect,
	&promise_tx_unix_refuses,
	&promise_tx_mptcp_refuses,
	&promise_tx_tls_refuses,
	&promise_tx_vsock_takes_option,
	&promise_uring_error_notifies,
	&promise_uring_reports_usage,
	&promise_uring_sendmsg_is_charged,
	&promise_uring_cancelled_link_notifies,
	&promise_uring_waitall_goes_on,
	&promise_uring_deferred_needs_eventfd,
	&promise_uring_flag_may_be_cleared,
	&promise_uring_flag_falls_with_work,
	&promise_uring_registered_keeps_pages,
	&promise_uring_disconnect_returns_all,
	&promise_rx_option_is_getsockopt,
	&promise_rx_struct_lengths,
	&promise_rx_fields_by_length,
	&promise_rx_refused_elsewhere,
	&promise_rx_window_is_read_only,
	&promise_rx_any_window_serves,
	&promise_rx_window_pins_its_socket,
	&promise_rx_unfilled_is_sigbus,
	&promise_rx_dontfork_hides_window,
	&promise_rx_unmappable_gives_hint,
	&promise_rx_sender_decides,
	&promise_rx_segments_decide,
	&promise_rx_copybuf_copies_whole,
	&promise_rx_clean_hint_maps,
	&promise_rx_length_overwrites_filled,
	&promise_rx_eio_is_end,
	&promise_rx_err_shown_once,
	&promise_rx_inq_counts_fin,
	&promise_rx_urgent_mark_stops,
	&promise_rx_lowat_gates_poll,
	&promise_rx_mapped_pages_forward,
	&promise_rx_mapped_pages_write_direct,
	&promise_rx_local_peer_rewrites,
	&promise_rx_udp_train_comes_whole,
	&promise_route_to_self_is_local,
	&promise_route_veth_has_no_bus,
	&promise_epoll_nested_shows_in_only,
	&promise_epoll_nested_edge_is_quiet,
	NULL,
};
