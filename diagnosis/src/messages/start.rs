//! What does not start.

crate::messages! {
    start_command_not_found();
    start_command_not_executable();
    start_wrong_architecture();
    start_command_missing();
    start_device();
    start_create_failed();
    start_memory();
    start_memory_why(message: Quote);
    start_configmap();
    start_secret();
    start_config_key();
    start_security();
    start_volume();
    start_image_volume();
    start_mount();
    start_claim();
    start_network();
    start_pod_devices();
    start_sandbox();
    start_not_admitted(reason: Quote);
    start_not_admitted_why(message: Quote);
    start_post_start();
    start_post_start_why(message: Quote);
    pre_stop_failed();
    pre_stop_failed_why(message: Quote);
    image_never_pull();
    image_never_pull_why();
    image_name_invalid();
    image_throttled();
    image_platform();
    image_unauthorized();
    image_unauthorized_why();
    image_not_found();
    image_timeout();
    image_unreachable();
    image_unpack();
    image_format();
    image_policy();
    image_volume();
    image_failed();
    image_reference(image: Identifier);
    image_message(message: Quote);
}
