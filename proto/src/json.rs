//! proto3 JSON, as the Protobuf specification defines it: lowerCamelCase names, enum values by name, RFC 3339 times,
//! 64-bit numbers as strings, defaults left out.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(crate::DESCRIPTORS).expect("the descriptors were encoded by this crate's own build")
});

fn descriptor<M: Name>() -> MessageDescriptor {
    POOL.get_message_by_name(&M::full_name()).expect("a message of this crate is in its descriptors")
}

/// The message as a JSON value.
///
/// # Errors
/// A received message may contain what JSON cannot represent, such as a time beyond the year 9999.
pub fn to_value<M: Message + Name>(message: &M) -> Result<Value, serde_json::Error> {
    let dynamic = DynamicMessage::decode(descriptor::<M>(), message.encode_to_vec().as_slice())
        .expect("a message decodes by its own descriptor");
    dynamic.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
}

/// The message of a JSON value. What another version added is passed over.
///
/// # Errors
/// If it is not such a message.
pub fn from_value<M: Message + Name + Default>(value: Value) -> Result<M, serde_json::Error> {
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let dynamic = DynamicMessage::deserialize_with_options(descriptor::<M>(), value, &options)?;
    Ok(dynamic.transcode_to().expect("a message decodes by its own descriptor"))
}
