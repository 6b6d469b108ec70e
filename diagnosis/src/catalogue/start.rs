//! Never started.

use super::{Cause, Chapter::Start, Row, Severity::*, causes, next, row};

pub(super) const ROWS: &[Row] = &[
    row(Cause::CommandNotFound, Start, Error, causes::cause_command_not_found, |_| vec![next::next_command()]),
    row(Cause::CommandNotExecutable, Start, Error, causes::cause_command_not_executable, |_| {
        vec![next::next_executable()]
    }),
    row(Cause::CommandMissing, Start, Error, causes::cause_command_missing, |_| vec![next::next_name_command()]),
    row(Cause::WrongArchitecture, Start, Error, causes::cause_wrong_architecture, |at| {
        vec![next::next_architecture(at.node)]
    }),
    row(Cause::ImageNotFound, Start, Error, causes::cause_image_not_found, |_| vec![next::next_image_name()]),
    row(Cause::ImageNameInvalid, Start, Error, causes::cause_image_name_invalid, |_| vec![next::next_image_syntax()]),
    row(Cause::ImageUnauthorized, Start, Error, causes::cause_image_unauthorized, |at| {
        vec![next::next_pull_secrets(at.namespace, at.pod)]
    }),
    row(Cause::ImageRegistryUnreachable, Start, Error, causes::cause_image_registry_unreachable, |_| {
        vec![next::next_registry()]
    }),
    row(
        Cause::ImagePullThrottled,
        Start,
        Warning,
        causes::cause_image_pull_throttled,
        |_| vec![next::next_pull_rate()],
    ),
    row(Cause::ImagePullTimeout, Start, Error, causes::cause_image_pull_timeout, |_| vec![next::next_pull_size()]),
    row(Cause::ImageNeverPull, Start, Error, causes::cause_image_never_pull, |_| vec![next::next_load_image()]),
    row(Cause::ImagePlatformMismatch, Start, Error, causes::cause_image_platform_mismatch, |_| {
        vec![next::next_platform()]
    }),
    row(Cause::ConfigmapMissing, Start, Error, causes::cause_configmap_missing, |at| {
        vec![next::next_configmap(at.namespace)]
    }),
    row(Cause::SecretMissing, Start, Error, causes::cause_secret_missing, |at| vec![next::next_secret(at.namespace)]),
    row(Cause::ConfigKeyMissing, Start, Error, causes::cause_config_key_missing, |at| {
        vec![next::next_config_key(at.namespace)]
    }),
    row(Cause::VolumeMountFailed, Start, Error, causes::cause_volume_mount_failed, |at| {
        vec![next::next_storage_driver(at.node)]
    }),
    row(Cause::VolumeClaimUnbound, Start, Error, causes::cause_volume_claim_unbound, |at| {
        vec![next::next_claim(at.namespace)]
    }),
    row(Cause::ReadOnlyVolume, Start, Error, causes::cause_read_only_volume, |_| vec![next::next_read_only()]),
    row(Cause::SecurityPolicyViolation, Start, Error, causes::cause_security_policy_violation, |_| {
        vec![next::next_security_context()]
    }),
    row(Cause::ContainerCreateFailed, Start, Error, causes::cause_container_create_failed, |at| {
        vec![next::next_runtime_message(at.namespace, at.pod)]
    }),
    row(Cause::SandboxNetworkFailed, Start, Error, causes::cause_sandbox_network_failed, |at| {
        vec![next::next_network_plugin(at.node)]
    }),
    row(Cause::PostStartHookFailed, Start, Error, causes::cause_post_start_hook_failed, |at| {
        vec![next::next_hook(at.namespace, at.pod, at.container)]
    }),
    row(Cause::PreStopHookFailed, Start, Warning, causes::cause_pre_stop_hook_failed, |_| {
        vec![next::next_pre_stop_hook()]
    }),
    row(Cause::RejectedByNode, Start, Error, causes::cause_rejected_by_node, |at| vec![next::next_admission(at.node)]),
    row(Cause::ImageUnpackFailed, Start, Error, causes::cause_image_unpack_failed, |at| {
        vec![next::next_image_storage(at.node)]
    }),
    row(Cause::ImageFormatUnsupported, Start, Error, causes::cause_image_format_unsupported, |_| {
        vec![next::next_image_format()]
    }),
    row(Cause::ImageRejectedByPolicy, Start, Error, causes::cause_image_rejected_by_policy, |_| {
        vec![next::next_image_policy()]
    }),
    row(Cause::ImageVolumeFailed, Start, Error, causes::cause_image_volume_failed, |_| vec![next::next_image_volume()]),
    row(Cause::SandboxCreateFailed, Start, Error, causes::cause_sandbox_create_failed, |_| vec![next::next_sandbox()]),
    row(Cause::DevicePrepareFailed, Start, Error, causes::cause_device_prepare_failed, |at| {
        vec![next::next_device_driver(at.node)]
    }),
];
