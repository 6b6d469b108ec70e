//! What stands below the options of each command's help: examples, and what a script needs to know.

pub(super) const PROGRAM: &str = "\
Examples:
  coroner why shop/web-5d9c-x7k2      explain the last death of a pod
  coroner why deploy/web -n shop      the same for all pods of a workload
  coroner list --since 1h             list what was diagnosed in the last hour
  kubectl -n coroner exec coroner-aggregator-0 -- coroner list    inside the cluster, without any option

Exit codes:
  0   answered
  1   error
  2   wrong usage
  3   no such diagnosis is recorded
  4   answered, but the cause is undetermined, a source that would decide was missing, or records were lost
  65  the recorded case cannot be read
  69  the aggregator, or what the demo needs, is not available";

pub(super) const WHY: &str = "\
Examples:
  coroner why web-5d9c-x7k2               a pod, in whatever namespace it is
  coroner why shop/web-5d9c-x7k2 -c app   one of its containers
  coroner why deploy/web -n shop          all pods of a workload
  coroner why pod web-5d9c-x7k2 -n shop   as kubectl writes it
  coroner why node/worker-3               the node itself; its pods: coroner list --node worker-3
  coroner why svc/web -n shop             a Service or Ingress without a backend
  coroner why 5b0c3a5e                    one diagnosis, by the beginning of its uid

The exit code is 3 if nothing is recorded, and 4 if the cause is undetermined.";

pub(super) const LIST: &str = "\
Examples:
  coroner list --since 1h                       the last hour
  coroner list --since 2026-11-20 --until 2026-11-21 -n shop
  coroner list --cause OOM_NODE,OOM_CONTAINER_LIMIT --fatal
  coroner list --each -o wide                   all diagnoses, all columns
  coroner list -o name | xargs -n1 coroner get  every diagnosis in full
  coroner list -o json | jq -r .summary

In a table, the same cause in the same container of one workload is one row, with how often it happened, first and last.
With name, json and yaml, and with --each, every diagnosis is shown. The exit code is 3 if there is none.";

pub(super) const WATCH: &str = "\
Examples:
  coroner watch -n shop                  what arrives from now on
  coroner watch --since 10m              begin with the last ten minutes
  coroner watch --from-oldest -o json    everything that is kept, then what arrives
  coroner watch --stop-at-end -o json    everything that is kept, and no more";

pub(super) const GET: &str = "\
Examples:
  coroner get 5b0c3a5e-6a0f-5d2e-9e55-0a4f6c1d2e3f
  coroner get 5b0c3a5e                   the first eight characters or more, if they are unambiguous
  coroner get 5b0c3a5e --revisions       with its earlier revisions";

pub(super) const STATUS: &str = "\
Examples:
  coroner status             the nodes, and the state of each of their sources
  coroner status -o json     for scripts
  coroner status -o name     the nodes' names only";

pub(super) const UI: &str = "\
Examples:
  kubectl coroner ui                    by the current context of the kubeconfig
  coroner ui --context staging --no-browser";

pub(super) const NODES: &str = "\
Examples:
  coroner nodes              a row for each node, with the causes of what is wrong with it
  coroner why node/worker-3  what is or was wrong with one of them
  coroner watch --nodes      what happens to nodes, as it happens";

pub(super) const CAUSES: &str = "\
Examples:
  coroner causes             all causes, by chapter
  coroner causes OOM_NODE    one of them, with what to do
  coroner causes --lang zh   in Chinese";

pub(super) const RECORD: &str = "\
Examples:
  sudo coroner record --for 10m                           on a node
  kubectl -n coroner exec coroner-agent-x7k2p -- coroner record --for 10m -n shop -f - > case.tar.gz
                                                          the same in a cluster, by the agent of the node
  coroner record shop/web-5d9c-x7k2                       what the aggregator stored of a pod
  tar -tzf case.tar.gz                                    look at it before you attach it to a report
  coroner replay case.tar.gz --explain                    what it leads to, and why

It ends at --for, at --max-bytes, or with Ctrl-C. It holds names of pods, nodes, images and processes, and texts that
containers, the kubelet and the API server reported. Redaction finds secrets by their form, and can miss some.";

pub(super) const REPLAY: &str = "\
Examples:
  coroner replay case.tar.gz --explain
  coroner replay tests/corpus/cases/oom-child
  coroner replay ./case -o json";

pub(super) const DEMO: &str = "\
Examples:
  sudo coroner demo
  sudo coroner demo -o table --lang zh";

pub(super) const COMPLETION: &str = "\
Examples:
  source <(coroner completion bash)
  coroner completion zsh > \"${fpath[1]}/_coroner\"
  coroner completion fish > ~/.config/fish/completions/coroner.fish";

pub(super) const MAN: &str = "\
Examples:
  coroner man | man -l -                         read it
  coroner man /usr/local/share/man/man1          install a page for each command";
