//! The kubelet's list of its pods, pruned while it is read.

use std::fmt;

use coroner_diagnosis::observation::kube;
use k8s_openapi::api::core::v1::Pod;
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

/// The answer of `/pods`.
#[derive(Deserialize)]
pub(super) struct PodList {
    #[serde(default)]
    items: Pruned,
}

impl PodList {
    pub(super) fn into_pods(self) -> Vec<kube::Pod> {
        self.items.0
    }
}

/// Pods of which nothing else is kept as soon as each has been read: all of them as they come take tens of MiB.
#[derive(Default)]
struct Pruned(Vec<kube::Pod>);

impl<'de> Deserialize<'de> for Pruned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;

        impl<'de> Visitor<'de> for Items {
            type Value = Pruned;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of pods")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Pruned, A::Error> {
                let mut pods = Vec::new();
                while let Some(pod) = items.next_element::<Pod>()? {
                    pods.push((&pod).into());
                }
                Ok(Pruned(pods))
            }

            fn visit_unit<E>(self) -> Result<Pruned, E> {
                Ok(Pruned::default())
            }
        }

        // `null` is Go's empty list.
        deserializer.deserialize_any(Items)
    }
}
