"""The page in Debian's Chromium: every view in both languages and themes, filters, keys, copying, live rows, hostile texts.

browser.py URL ADDRESS CASES PROTO [PICTURES]: URL of the page, ADDRESS of its aggregator's gRPC port, CASES and PROTO as scene.py has them. With
PICTURES, a folder, pictures are put there.
"""

import gzip
import random
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request
import uuid

import grpc
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

# Beside the scripts nothing is left behind.
sys.dont_write_bytecode = True

import scene  # noqa: E402

HOSTILE = [
    "<script>window.pwned=1</script>",
    '"><img src=x onerror=window.pwned=1>',
    "'-window.pwned-'",
    "</title></textarea><svg onload=window.pwned=1>",
    "javascript:window.pwned=1",
    "&lt;script&gt;&#x27;",
    "{{7*7}}${7*7}",
    "a\u202eb\u0000c\r\ndata: forged\n\nevent: rows",
]
FIRST_VIEW = 60_000


class Feed:
    """What pushes diagnoses, as the agent of a node."""

    def __init__(self, address, node):
        from coroner.v1 import (
            diagnosis_pb2,
            ingest_service_pb2,
            ingest_service_pb2_grpc,
            node_report_pb2,
            node_report_pb2_grpc,
        )

        self.wire, self.messages, self.reports = diagnosis_pb2, ingest_service_pb2, node_report_pb2
        channel = grpc.insecure_channel(address)
        self.service = ingest_service_pb2_grpc.IngestServiceStub(channel)
        self.nodes = node_report_pb2_grpc.NodeReportServiceStub(channel)
        self.node, self.stream, self.sequence = node, str(uuid.uuid4()), 0

    def push(self, diagnoses):
        records = []
        for diagnosis in diagnoses:
            self.sequence += 1
            records.append(self.messages.OutboxRecord(sequence=self.sequence, diagnosis=diagnosis))
        answer = self.service.PushDiagnoses(
            self.messages.PushDiagnosesRequest(node=self.node, stream_id=self.stream, records=records)
        )
        assert not answer.rejected, answer

    def observe(self, text):
        """A gap, the sources and a report of the node, with this text wherever there is one."""
        # The name of a source holds no control characters, as that of a node does not.
        gap = self.wire.Gap(node=self.node, source=self.node, reason=2, text=text)
        gap.start_time.GetCurrentTime()
        gap.end_time.GetCurrentTime()
        self.sequence += 1
        record = self.messages.OutboxRecord(sequence=self.sequence, gap=gap)
        sources = [self.messages.SourceStatus(source=self.node, health=health, reason=text) for health in (1, 2, 3)]
        push = self.messages.PushDiagnosesRequest(
            node=self.node, stream_id=self.stream, records=[record], sources=sources
        )
        answer = self.service.PushDiagnoses(push)
        assert not answer.rejected, answer
        report = self.reports.NodeReport(boot_id=text, agent_version=text, health_address=text)
        report.uptime.seconds = 86_400
        for daemon in (report.kubelet, report.runtime):
            daemon.state, daemon.error = 2, text
            daemon.last_lines.append(text)
        report.api_server.address = report.api_server.error = text
        report.api_server.unreachable_since_time.GetCurrentTime()
        report.pressure.memory_total_bytes, report.pressure.cpu_some_percent = 1 << 30, 97.5
        report.pressure.file_systems.add(path=text, size_bytes=1 << 30)
        report.blocked_processes.add(name=text, wait_channel=text, pod_uid=text)
        report.kernel_faults.add(kind=text, line=text, count=1)
        report.unobserved_checks.add(check=text, reason=text)
        self.nodes.ReportNode(self.reports.ReportNodeRequest(node=self.node, report=report))

    def death(self, name, text="Exited with status 1", namespace="live"):
        death = self.wire.Diagnosis(
            uid=str(uuid.uuid4()), revision=1, cause=53, severity=3, confidence=3, fatal=True, summary=text
        )
        death.subject.kind, death.subject.namespace, death.subject.name, death.subject.node = (
            1,
            namespace,
            name,
            self.node,
        )
        death.subject.container = "main"
        death.event_time.GetCurrentTime()
        return death


class Cutter:
    """A proxy that cuts each connection after a random number of bytes of its answers, while `cutting` is set."""

    def __init__(self, url, least, most):
        self.target = (urllib.parse.urlsplit(url).hostname, urllib.parse.urlsplit(url).port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.draw, self.range, self.cuts, self.cutting = random.Random(11), (least, most), 0, True
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(self.target)
            threading.Thread(target=self.forward, args=(client, server, None), daemon=True).start()
            threading.Thread(
                target=self.forward, args=(server, client, self.draw.randint(*self.range)), daemon=True
            ).start()

    def forward(self, source, target, budget):
        try:
            while data := source.recv(4096):
                if budget is not None and self.cutting:
                    if len(data) >= budget:
                        target.sendall(data[:budget])
                        self.cuts += 1
                        break
                    budget -= len(data)
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.status, answer.headers, answer.read()


def check_sizes(url):
    _, headers, page = get(url, **{"accept-encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    total = len(page)
    text = gzip.decompress(page).decode()
    for name in ("page.css", "page.js", "icon.svg"):
        path = next(part for part in text.split('"') if part.endswith(name))
        total += len(get(url + path, **{"accept-encoding": "gzip"})[2])
    print(f"first view: {total} bytes compressed, {len(text)} of HTML")
    assert total < FIRST_VIEW, total


def check_stream(url, feed):
    """A client that reads a few bytes and is cut, again and again, gets everything once it has resumed by the last id it saw."""
    deaths = [feed.death(f"cut-{n}") for n in range(120)]
    first, token, seen, draw, cuts = gzip_free(url), None, [], random.Random(5), 0
    token = first
    feeding = threading.Thread(target=lambda: [(feed.push([death]), time.sleep(0.01)) for death in deaths])
    feeding.start()
    deadline = time.time() + 300
    wanted = {death.uid for death in deaths}
    while not wanted <= set(seen):
        assert time.time() < deadline, f"{len(wanted - set(seen))} are missing after {cuts} cuts"
        host = urllib.parse.urlsplit(url)
        with socket.create_connection((host.hostname, host.port), timeout=20) as stream:
            request = f"GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {token}\r\nAccept: text/event-stream\r\n\r\n"
            stream.sendall(request.encode())
            budget, data = draw.randint(300, 6000), b""
            while len(data) < budget:
                try:
                    stream.settimeout(2)
                    part = stream.recv(budget - len(data))
                except TimeoutError:
                    break
                if not part:
                    break
                data += part
        cuts += 1
        token, uids = events(data, token)
        seen += uids
    feeding.join()
    print(f"{len(deaths)} deaths over {cuts} connections, {len(seen) - len(set(seen))} came twice")
    assert cuts > 5


def gzip_free(url):
    """The token from which the page of now goes on."""
    text = get(url)[2].decode()
    address = text.split('data-events="')[1].split('"')[0].replace("&amp;", "&")
    return urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)["after"][0]


def events(data, token):
    """The id behind the last whole event, and the uids of all whole ones, as a browser takes them."""
    body = data.partition(b"\r\n\r\n")[2]
    text, rest = b"", body
    # Chunks, of which the last may be cut.
    while b"\r\n" in rest:
        size, _, rest = rest.partition(b"\r\n")
        try:
            size = int(size, 16)
        except ValueError:
            break
        text += rest[:size]
        if len(rest) < size + 2:
            break
        rest = rest[size + 2 :]
    uids = []
    whole = text.split(b"\n\n")[:-1]
    for event in whole:
        for line in event.split(b"\n"):
            if line.startswith(b"id: "):
                token = line[4:].decode()
        uids += [part.split(b'"')[0].decode() for part in event.split(b'data-uid="')[1:]]
    return token, uids


class Browser:
    def __init__(self, playwright, url):
        self.url, self.origin = url, url
        self.chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        self.faults = []

    def page(self, **options):
        context = self.chromium.new_context(**options)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda message: (
                self.faults.append(f"{page.url}: {message.text}") if message.type in ("error", "warning") else None
            ),
        )
        page.on("dialog", lambda dialog: self.faults.append(f"{page.url}: {dialog.message}"))

        def asked(request):
            if not request.url.startswith(self.origin + "/"):
                self.faults.append(f"a request to {request.url}")

        page.on("request", asked)
        return page

    def check(self):
        assert not self.faults, "\n".join(self.faults)


def views(page, url):
    page.goto(url + "/?q=OOM_CONTAINER_LIMIT")
    death = page.locator(".headline").first.get_attribute("href")
    return {"overview": "/", "death": death, "node": "/node/worker-2", "workload": "/workload/shop/Deployment/web"}


def check_views(browser, url, pictures):
    axe, violations = Axe(), []
    for language, scheme, width in [
        ("en", "light", 1280),
        ("zh", "dark", 1280),
        ("en", "dark", 390),
        ("zh", "light", 390),
    ]:
        page = browser.page(
            viewport={"width": width, "height": 900 if width > 400 else 844},
            color_scheme=scheme,
            locale={"en": "en-US", "zh": "zh-CN"}[language],
        )
        for name, path in views(page, url).items():
            page.goto(url + path)
            assert page.locator("html").get_attribute("lang").startswith(language), name
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} pixels wide on {width}"
            result = axe.run(page)
            if result.violations_count:
                violations.append(f"{name} {language} {scheme} {width}\n{result.generate_report()}")
            if pictures:
                size = "-phone" if width < 400 else ""
                page.screenshot(
                    path=f"{pictures}/page-{name}{size}.{language}.png", full_page=width < 400 or name != "overview"
                )
        page.context.close()
    browser.check()
    assert not violations, "\n".join(violations)


def check_filters(browser, url):
    page = browser.page(java_script_enabled=False)
    page.goto(url)
    everything = page.locator(".group").count()
    assert everything > 5
    for query, wanted in [
        ("ns=shop", "shop"),
        ("node=worker-5", "worker-5"),
        ("q=encoder", "encoder"),
        ("q=SIGSEGV", "SIGSEGV"),
    ]:
        page.goto(f"{url}/?{query}")
        texts = page.locator(".group").all_inner_texts()
        assert 0 < len(texts) < everything and all(wanted in text for text in texts), (query, texts)
    page.goto(f"{url}/?severity=error")
    assert set(page.locator(".lead .badge").all_inner_texts()) <= {"error", "critical"}
    page.goto(f"{url}/?cause=OOM_CONTAINER_LIMIT&since=7d")
    assert page.locator(".row").count() > 9
    # By the form, without a script.
    page.goto(url)
    page.fill("[name=ns]", "media")
    page.click("form.filters [type=submit]")
    assert "ns=media" in page.url and page.locator(".group").count() == 2
    # From the list to a death, and from there to its node and its workload.
    page.locator(".headline").first.click()
    assert "/d/" in page.url and page.locator("h1").inner_text()
    page.locator(".death > header .place a").first.click()
    assert "/workload/media/" in page.url
    for path, status in [
        ("/?since=2h", 400),
        ("/nothing", 404),
        ("/d/00000000-0000-4000-8000-000000000000", 404),
        ("/node/none", 404),
    ]:
        assert page.goto(url + path).status == status, path
    page.context.close()
    browser.faults.clear()


def check_forms(url):
    import json

    _, headers, body = get(url + "/?ns=shop", accept="application/json")
    listed = json.loads(body)["diagnoses"]
    assert headers["content-type"] == "application/json" and all(d["subject"]["namespace"] == "shop" for d in listed)
    uid = listed[0]["uid"]
    assert json.loads(get(f"{url}/d/{uid}?as=json")[2])["diagnosis"]["uid"] == uid
    text = get(f"{url}/d/{uid}?as=text")[2].decode()
    assert text.startswith(listed[0]["summary"]) and uid in text
    assert json.loads(get(url + "/node/worker-2", accept="application/json")[2])["status"]["node"] == "worker-2"
    assert json.loads(get(url + "/workload/shop/Deployment/web", accept="application/json")[2])["diagnoses"]
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        try:
            urllib.request.urlopen(urllib.request.Request(url + "/", method=method))
            raise AssertionError(method)
        except urllib.error.HTTPError as refusal:
            assert refusal.code == 405, (method, refusal.code)
    try:
        get(url + "/", host="evil.example")
        raise AssertionError("by another name")
    except urllib.error.HTTPError as refusal:
        assert refusal.code == 421
    for name, value in [
        ("content-security-policy", "default-src 'none'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ]:
        assert value in get(url)[1][name], name


def check_keys(browser, url):
    page = browser.page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(url)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.className") == "headline"
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_url("**/d/**")
    page.goto(url + views(page, url)["death"])
    page.locator("[data-copy]").first.click()
    deadline = time.time() + 30
    while not page.evaluate("navigator.clipboard.readText()").startswith("kubectl "):
        assert time.time() < deadline, "the command was not copied"
        page.wait_for_timeout(100)
    page.locator("[data-copy-from]").click()
    deadline = time.time() + 30
    while "Evidence" not in page.evaluate("navigator.clipboard.readText()"):
        assert time.time() < deadline, "the text was not copied"
        page.wait_for_timeout(100)
    page.select_option("html select[name=since]", "7d") if page.locator("select[name=since]").count() else None
    page.context.close()
    browser.check()


def check_live(browser, url, feed):
    """The list shows all that arrives, once, though every connection is cut at a random byte."""
    cutter = Cutter(url, 30_000, 60_000)
    browser.origin = cutter.url
    page = browser.page()
    page.goto(cutter.url + "/?ns=live&since=1h")
    before = set(page.eval_on_selector_all(".row", "rows => rows.map(row => row.dataset.uid)"))
    page.wait_for_selector("#live.on")
    deaths = [feed.death(f"live-{n}") for n in range(300)]
    for n in range(0, 300, 10):
        feed.push(deaths[n : n + 10])
        page.wait_for_timeout(150)
    cutter.cutting = False
    wanted = {death.uid for death in deaths}
    deadline = time.time() + 90
    while page.locator(".row").count() < len(wanted | before) and time.time() < deadline:
        page.wait_for_timeout(200)
    rows = page.eval_on_selector_all(".row", "rows => rows.map(row => row.dataset.uid)")
    assert wanted <= set(rows) and len(rows) == len(set(rows)), (len(rows), len(set(rows)))
    print(f"{len(deaths)} deaths live in a browser, over {cutter.cuts} cuts")
    assert cutter.cuts > 0
    # A better verdict takes the place of the one before.
    revised = deaths[0]
    revised.revision, revised.summary = 2, "Out of memory, on second thought"
    feed.push([revised])
    page.wait_for_selector(f".row[data-uid='{revised.uid}'] >> text=on second thought", state="attached")
    assert page.locator(f".row[data-uid='{revised.uid}']").count() == 1
    page.context.close()
    browser.origin = url
    # Cut connections are no faults of the page.
    browser.faults = [fault for fault in browser.faults if "net::ERR" not in fault]
    browser.check()


def check_hostile(browser, url, address, feed):
    """Hostile texts in every field of diagnoses, gaps, sources and reports are shown as they are, and nothing else."""
    deaths, nodes = [], []
    for text in HOSTILE:
        name = "".join(c for c in text if c.isprintable())
        death = feed.death(name, text, namespace=name)
        death.explanation, death.suggestions[:] = text, [text, f"Read its log: kubectl logs {name}; {text}"]
        death.subject.container = name
        for field in (death.evidence, death.against):
            field.add(source=text, text=text)
        death.candidates.add(cause=1, reason=text)
        other = death.related.add(namespace=name, pod=name, container=name)
        other.evidence.source = other.evidence.text = text
        death.last_lines.append(text)
        death.missing_sources.append(text)
        death.redactions.add(field=text, rule=text)
        death.workloads.add(kind=name, name=name)
        death.container.name = name
        death.container.image = death.container.id = death.container.cgroup_path = text
        death.process.name = death.node.kernel_release = death.exit.reported_reason = text
        death.pod.name, death.pod.namespace = name, name
        deaths.append(death)
        nodes.append(Feed(address, name))
    page = browser.page()
    page.goto(url + "/?since=1h")
    page.wait_for_selector("#live.on")
    feed.push(deaths)
    for node, text in zip(nodes, HOSTILE):
        node.observe(text)
    for death in deaths:
        page.wait_for_selector(f".row[data-uid='{death.uid}']", state="attached")
    paths = ["/?since=1h"]
    for death in deaths:
        workload = urllib.parse.quote(death.subject.namespace, safe="")
        paths += [
            f"/d/{death.uid}",
            f"/?q={workload}",
            f"/?ns={workload}&node={workload}",
            f"/workload/{workload}/{workload}/{workload}",
        ]
    paths += [f"/node/{urllib.parse.quote(node.node, safe='')}" for node in nodes]
    axe = Axe()
    for path in [None, *paths]:
        if path:
            page.goto(url + path)
        assert page.evaluate("window.pwned") is None, path
        allowed = page.evaluate(
            "[...document.querySelectorAll('img, script, iframe, object, embed, base, form, link, style')].every(e => "
            'e.matches(\'.brand img, head script[src^="/assets/"], head link[href^="/assets/"], form.filters, dialog form\'))'
        )
        assert allowed, (path, page.content())
        attributes = page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(e => [...e.attributes]).filter(a => a.name.startsWith('on')).length"
        )
        links = page.evaluate(
            "[...document.querySelectorAll('a')].every(a => a.href.baseVal !== undefined || a.protocol == location.protocol)"
        )
        assert attributes == 0 and links, path
        result = axe.run(page)
        assert not result.violations_count, f"{path}\n{result.generate_report()}"
    page.goto(url + paths[-len(nodes)])
    for place in ("h1", "section.facts", "table"):
        assert HOSTILE[0] in page.locator(place).first.inner_text(), place
    page.goto(url + "/?since=1h")
    assert HOSTILE[0] in page.locator(".gaps").text_content() and HOSTILE[0] in page.locator("#pinned").text_content()
    page.goto(url + f"/d/{deaths[0].uid}")
    assert HOSTILE[0] in page.locator("h1").inner_text()
    assert page.locator("[data-copy]").count() == 0, "a hostile command can be copied"
    page.context.close()
    browser.faults = [fault for fault in browser.faults if "404" not in fault]
    browser.check()


def main():
    url, address, cases, proto = sys.argv[1:5]
    pictures = sys.argv[5] if len(sys.argv) > 5 else None
    sys.argv = ["scene.py", address, cases, proto]
    scene.main()
    feed = Feed(address, "live-1")
    with sync_playwright() as playwright:
        browser = Browser(playwright, url)
        check_views(browser, url, pictures)
        check_filters(browser, url)
        check_forms(url)
        check_keys(browser, url)
        check_stream(url, feed)
        check_live(browser, url, feed)
        check_sizes(url)
        # Last: the nodes that it puts on top come with each event stream.
        check_hostile(browser, url, address, feed)
        browser.chromium.close()


if __name__ == "__main__":
    main()
