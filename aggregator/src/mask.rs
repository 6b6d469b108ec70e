//! Read masks: fields of `Diagnosis`, also nested ones, applied to the encoded message by the descriptors of the wire,
//! so that there is no list of fields to keep.

use std::{
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
};

use coroner_proto::v1::Diagnosis;
use prost::{
    Message,
    bytes::Buf,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field},
};
use prost_types::{DescriptorProto, FieldMask, FileDescriptorSet, field_descriptor_proto::Label};
use tonic::Status;

/// Paths that one mask may hold.
const MAX_PATHS: usize = 200;

/// The fields to keep of a message, by tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(BTreeMap<u32, Kept>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kept {
    Whole,
    Part(Mask),
}

impl Mask {
    /// Takes a mask from a request; an absent or empty one, and `*`, keep everything.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a path that `Diagnosis` does not have.
    pub fn new(mask: Option<FieldMask>) -> Result<Self, Status> {
        let paths = mask.unwrap_or_default().paths;
        if paths.len() > MAX_PATHS {
            return Err(Status::invalid_argument(format!("read_mask holds at most {MAX_PATHS} paths")));
        }
        if paths.iter().any(|path| path == "*") {
            return Ok(Self::default());
        }
        let mut mask = Self::default();
        for path in paths {
            mask.add(".coroner.v1.Diagnosis", &path)
                .ok_or_else(|| Status::invalid_argument(format!("read_mask: Diagnosis has no field {path:?}")))?;
        }
        Ok(mask)
    }

    fn add(&mut self, message: &str, path: &str) -> Option<()> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let field = fields().get(message)?.get(name)?;
        let Some(rest) = rest else {
            self.0.insert(field.tag, Kept::Whole);
            return Some(());
        };
        // As FieldMask has it: a repeated field stands last in a path.
        let inner = field.message.as_deref().filter(|_| !field.repeated)?;
        match self.0.entry(field.tag).or_insert_with(|| Kept::Part(Self::default())) {
            Kept::Whole => Self::default().add(inner, rest),
            Kept::Part(mask) => mask.add(inner, rest),
        }
    }

    /// The encoded message with the kept fields alone; none if it is not a message.
    pub fn apply<'a>(&self, body: &'a [u8]) -> Option<std::borrow::Cow<'a, [u8]>> {
        if self.0.is_empty() {
            return Some(body.into());
        }
        let mut out = Vec::with_capacity(body.len() / 2);
        self.copy(body, &mut out)?;
        Some(out.into())
    }

    /// The diagnosis of a stored record, with the kept fields alone.
    ///
    /// # Errors
    /// `INTERNAL` if it is none.
    pub fn decode(&self, body: &[u8]) -> Result<Diagnosis, Status> {
        let diagnosis = self.apply(body).and_then(|body| Diagnosis::decode(&*body).ok());
        diagnosis.ok_or_else(|| Status::internal("a stored diagnosis cannot be read back"))
    }

    fn copy(&self, mut body: &[u8], out: &mut Vec<u8>) -> Option<()> {
        while body.has_remaining() {
            let start = body;
            let (tag, wire_type) = decode_key(&mut body).ok()?;
            let value = body;
            skip_field(wire_type, tag, &mut body, DecodeContext::default()).ok()?;
            match self.0.get(&tag) {
                None => {}
                Some(Kept::Whole) => out.extend_from_slice(&start[..start.len() - body.len()]),
                Some(Kept::Part(mask)) if wire_type == WireType::LengthDelimited => {
                    let mut inner = &value[..value.len() - body.len()];
                    decode_varint(&mut inner).ok()?;
                    let mut kept = Vec::new();
                    mask.copy(inner, &mut kept)?;
                    encode_key(tag, WireType::LengthDelimited, out);
                    encode_varint(kept.len() as u64, out);
                    out.extend_from_slice(&kept);
                }
                Some(Kept::Part(_)) => return None,
            }
        }
        Some(())
    }
}

#[derive(Debug)]
struct Field {
    tag: u32,
    repeated: bool,
    /// The full name of its type, if that is a message.
    message: Option<String>,
}

/// Every message of the wire, by full name; its fields by name.
fn fields() -> &'static HashMap<String, HashMap<String, Field>> {
    static FIELDS: OnceLock<HashMap<String, HashMap<String, Field>>> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let set = FileDescriptorSet::decode(coroner_proto::DESCRIPTORS).expect("built together with this program");
        let messages = set.file.iter().flat_map(|file| file.message_type.iter().map(move |m| (file.package(), m)));
        messages.map(|(package, m)| (format!(".{package}.{}", m.name()), fields_of(m))).collect()
    })
}

fn fields_of(message: &DescriptorProto) -> HashMap<String, Field> {
    let fields = message.field.iter().map(|field| {
        let tag = u32::try_from(field.number()).expect("tags are positive");
        let message =
            field.type_name.clone().filter(|_| field.r#type() == prost_types::field_descriptor_proto::Type::Message);
        (field.name().to_owned(), Field { tag, repeated: field.label() == Label::Repeated, message })
    });
    fields.collect()
}

#[cfg(test)]
mod tests {
    use coroner_proto::v1::{Container, Evidence, Pod, Subject};

    use super::*;

    fn sample() -> Diagnosis {
        Diagnosis {
            uid: "u".into(),
            revision: 3,
            subject: Some(Subject { namespace: "shop".into(), name: "web".into(), ..Default::default() }),
            pod: Some(Pod { namespace: "shop".into(), name: "web".into(), uid: "p".into() }),
            container: Some(Container { start_time: Some(timestamp()), id: "c".into(), ..Default::default() }),
            evidence: vec![Evidence { text: "one".into(), ..Default::default() }, Evidence::default()],
            ..Default::default()
        }
    }

    fn timestamp() -> prost_types::Timestamp {
        prost_types::Timestamp { seconds: 1, nanos: 2 }
    }

    fn masked(paths: &[&str]) -> Diagnosis {
        let mask = FieldMask { paths: paths.iter().map(ToString::to_string).collect() };
        let body = sample().encode_to_vec();
        let mask = Mask::new(Some(mask)).unwrap();
        Diagnosis::decode(&*mask.apply(&body).unwrap()).unwrap()
    }

    #[test]
    fn keeps_whole_fields_and_parts_of_messages() {
        let kept = masked(&["uid", "evidence", "pod.name", "container.start_time.nanos"]);
        let expected = Diagnosis {
            uid: "u".into(),
            pod: Some(Pod { name: "web".into(), ..Default::default() }),
            container: Some(Container {
                start_time: Some(prost_types::Timestamp { seconds: 0, nanos: 2 }),
                ..Default::default()
            }),
            evidence: sample().evidence,
            ..Default::default()
        };
        assert_eq!(kept, expected);
    }

    #[test]
    fn whole_field_wins_over_a_part_of_it() {
        assert_eq!(masked(&["pod.name", "pod"]).pod, sample().pod);
        assert_eq!(masked(&["pod", "pod.name"]).pod, sample().pod);
    }

    #[test]
    fn empty_mask_and_star_keep_everything() {
        assert_eq!(masked(&[]), sample());
        assert_eq!(masked(&["*"]), sample());
    }

    #[test]
    fn unknown_paths_are_refused() {
        for path in ["", "nothing", "pod.nothing", "uid.x", "evidence.text", "pod.", ".pod", "pod..name", "pod,uid"] {
            let mask = FieldMask { paths: vec![path.into()] };
            assert_eq!(Mask::new(Some(mask)).unwrap_err().code(), tonic::Code::InvalidArgument, "{path:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(body: Vec<u8>) {
            let mask = Mask::new(Some(FieldMask { paths: vec!["uid".into(), "pod.name".into()] })).unwrap();
            let _kept = mask.apply(&body);
        }
    }
}
