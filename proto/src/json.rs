//! proto3 JSON, as the Protobuf specification defines it: lowerCamelCase names, enum values by name, RFC 3339 times,
//! 64-bit numbers as strings, defaults left out.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(crate::DESCRIPTORS).expect("the descriptors were encoded by this crate's own build")
});

/// The message as a JSON value.
///
/// # Errors
/// A message that came from elsewhere may hold what JSON cannot say, as a time beyond the year 9999.
pub fn to_value<M: Message + Name>(message: &M) -> Result<Value, serde_json::Error> {
    let descriptor = POOL.get_message_by_name(&M::full_name()).expect("a message of this crate is in its descriptors");
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .expect("a message decodes by its own descriptor");
    dynamic.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
}
