//! How much memory a message takes when it is decoded, found on its bytes before that. Two bytes of an empty message in
//! a repeated field become a struct of a kilobyte, so the number of bytes alone bounds nothing.
//!
//! The descriptors of the wire define which fields repeat and their types, so there is no list of fields to maintain.

use std::{collections::BTreeMap, sync::OnceLock};

use prost::{
    Message as _,
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// A string, a list, or a number with a mark for its presence.
const FIELD: u64 = 24;
/// Messages within messages that are looked into; the wire has fewer.
const DEPTH: u32 = 16;

/// The fields of a message to measure it before it is decoded, each at the index that is its number.
#[derive(Debug)]
pub(super) struct Shape(Vec<Option<Field>>);

#[derive(Debug)]
struct Field {
    repeats: bool,
    /// Bytes of one value in a list.
    size: u64,
    /// The place of its type among all shapes, if that is a message.
    message: Option<usize>,
}

/// The shape of a message by its full name, as `.coroner.v1.Diagnosis`.
pub(super) fn shape(name: &str) -> Option<&'static Shape> {
    let shapes = shapes();
    let place = shapes.binary_search_by(|(of, _)| of.as_str().cmp(name)).ok()?;
    Some(&shapes[place].1)
}

impl Shape {
    /// Bytes that the lists of a message take when it is decoded, beside their texts; `None` for what cannot be
    /// decoded.
    pub(super) fn list_bytes(&self, body: &[u8]) -> Option<u64> {
        self.within(body, DEPTH)
    }

    fn within(&self, mut body: &[u8], depth: u32) -> Option<u64> {
        let depth = depth.checked_sub(1)?;
        let mut bytes: u64 = 0;
        while body.has_remaining() {
            let (tag, wire_type) = decode_key(&mut body).ok()?;
            let start = body;
            skip_field(wire_type, tag, &mut body, DecodeContext::default()).ok()?;
            let field = usize::try_from(tag).ok().and_then(|tag| self.0.get(tag)?.as_ref());
            let Some(field) = field else { continue };
            let mut value = &start[..start.len() - body.len()];
            if wire_type == WireType::LengthDelimited {
                decode_varint(&mut value).ok()?;
            }
            if field.repeats {
                // Packed numbers take a byte or more each on the wire.
                let is_packed = wire_type == WireType::LengthDelimited && field.size < FIELD;
                let count = if is_packed { value.len() as u64 } else { 1 };
                bytes = bytes.saturating_add(count.saturating_mul(field.size));
            }
            if let Some((_, inner)) = field.message.and_then(|place| shapes().get(place))
                && wire_type == WireType::LengthDelimited
            {
                bytes = bytes.saturating_add(inner.within(value, depth)?);
            }
        }
        Some(bytes)
    }
}

/// All shapes, in the order of their names.
fn shapes() -> &'static [(String, Shape)] {
    static SHAPES: OnceLock<Vec<(String, Shape)>> = OnceLock::new();
    SHAPES.get_or_init(|| {
        let set = FileDescriptorSet::decode(coroner_proto::DESCRIPTORS).expect("built together with this program");
        let messages = set.file.iter().flat_map(|file| file.message_type.iter().map(move |m| (file.package(), m)));
        let messages: BTreeMap<String, &DescriptorProto> =
            messages.map(|(package, message)| (format!(".{package}.{}", message.name()), message)).collect();
        messages.iter().map(|(name, message)| (name.clone(), shape_of(message, &messages))).collect()
    })
}

fn shape_of(message: &DescriptorProto, all: &BTreeMap<String, &DescriptorProto>) -> Shape {
    let mut fields = Vec::new();
    for field in &message.field {
        let is_message = field.r#type() == Type::Message;
        let size = match field.r#type() {
            Type::Message => size_of_message(all.get(field.type_name()).copied(), all, DEPTH),
            Type::String | Type::Bytes => FIELD,
            _ => 8,
        };
        let message = if is_message { all.keys().position(|name| name == field.type_name()) } else { None };
        let tag = usize::try_from(field.number()).expect("tags are positive");
        fields.resize_with(fields.len().max(tag + 1), || None);
        fields[tag] = Some(Field { repeats: field.label() == Label::Repeated, size, message });
    }
    Shape(fields)
}

/// Bytes of a message's struct: those of its fields, as if each of a `oneof` had a place of its own.
fn size_of_message(message: Option<&DescriptorProto>, all: &BTreeMap<String, &DescriptorProto>, depth: u32) -> u64 {
    let (Some(message), Some(depth)) = (message, depth.checked_sub(1)) else { return FIELD };
    let size = |field: &FieldDescriptorProto| match (field.label(), field.r#type()) {
        (Label::Repeated, _) | (_, Type::String | Type::Bytes) => FIELD,
        (_, Type::Message) => 8 + size_of_message(all.get(field.type_name()).copied(), all, depth),
        _ => 16,
    };
    message.field.iter().map(size).sum()
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{Diagnosis, OutboxRecord, Process, PushDiagnosesRequest, outbox_record::Record};
    use proptest::prelude::*;

    use super::*;

    fn push() -> &'static Shape {
        shape(".coroner.v1.PushDiagnosesRequest").unwrap()
    }

    #[test]
    fn a_struct_is_no_larger_than_it_is_taken_for() {
        for (list, tag, size) in [
            (".coroner.v1.ListDiagnosesResponse", 1, size_of::<Diagnosis>()),
            (".coroner.v1.PushDiagnosesRequest", 3, size_of::<OutboxRecord>()),
            (".coroner.v1.Diagnosis", 24, size_of::<Process>()),
        ] {
            let taken_for = shape(list).unwrap().0[tag].as_ref().unwrap().size;
            assert!((size as u64..3 * size as u64).contains(&taken_for), "{list}: {taken_for} for {size}");
        }
    }

    #[test]
    fn empty_messages_count_as_what_they_become() {
        let records = vec![OutboxRecord::default(); 1_000];
        let bytes = PushDiagnosesRequest { records, ..Default::default() }.encode_to_vec();
        assert_eq!(bytes.len(), 2_000);
        assert!(push().list_bytes(&bytes).unwrap() >= 1_000 * size_of::<OutboxRecord>() as u64);
        let diagnosis = Diagnosis { other_victims: vec![Process::default(); 1_000], ..Default::default() };
        let record = OutboxRecord { sequence: 1, record: Some(Record::Diagnosis(diagnosis)) };
        let bytes = PushDiagnosesRequest { records: vec![record], ..Default::default() }.encode_to_vec();
        assert!(push().list_bytes(&bytes).unwrap() >= 1_000 * size_of::<Process>() as u64);
        let packed = Diagnosis { contributing: vec![1; 1_000], ..Default::default() }.encode_to_vec();
        assert!(shape(".coroner.v1.Diagnosis").unwrap().list_bytes(&packed).unwrap() >= 4_000);
    }

    proptest! {
        #[test]
        fn what_can_be_decoded_is_measured_and_any_bytes_are_survived(bytes: Vec<u8>) {
            let measured = push().list_bytes(&bytes);
            if PushDiagnosesRequest::decode(&*bytes).is_ok() {
                prop_assert!(measured.is_some());
            }
        }
    }
}
