"""Who sees what on the page, behind TLS: by token and session, by certificate, and through a proxy.

access.py URL FOLDER: FOLDER holds `ca.crt`, and `reader` and `proxy` as .crt and .key. Of the users whose tokens the API server knows, `jane`
may get the pods of `shop`, and `admin` everything; each diagnosis of `shop` and of `vault` is on the node n1.
"""

import http.client
import json
import ssl
import sys
import urllib.parse

from playwright.sync_api import sync_playwright

OWN = "00000000-0000-4000-8000-000000000001"
FOREIGN = "00000000-0000-4000-8000-000000000002"


class Client:
    def __init__(self, url, folder, certificate=None):
        self.host = urllib.parse.urlsplit(url)
        self.context = ssl.create_default_context(cafile=f"{folder}/ca.crt")
        if certificate:
            self.context.load_cert_chain(f"{folder}/{certificate}.crt", f"{folder}/{certificate}.key")
        self.headers = {}

    def ask(self, path, method="GET", body=None, **headers):
        connection = http.client.HTTPSConnection(self.host.hostname, self.host.port, context=self.context, timeout=20)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {**self.headers, **headers})
        answer = connection.getresponse()
        data = b"" if answer.headers["content-type"] == "text/event-stream" else answer.read()
        if answer.headers["content-type"] == "text/event-stream":
            # Up to the first bookmark that shows that the stream has reached the present.
            while b"event: live" not in data:
                data += answer.read1(4096)
        connection.close()
        return answer.status, answer.headers, data.decode()

    def login(self, token, next="/", **headers):
        body = urllib.parse.urlencode({"token": token, "next": next})
        status, answer, text = self.ask(
            "/login", "POST", body, content_type="application/x-www-form-urlencoded", **headers
        )
        cookies = [cookie for cookie in answer.get_all("set-cookie") or [] if cookie.startswith("__Host-coroner=")]
        if cookies:
            self.headers["cookie"] = cookies[0].split(";")[0]
        return status, answer, cookies, text

    def namespaces(self, path="/?since=30d"):
        status, _, text = self.ask(path, accept="application/json")
        assert status == 200, (path, status, text)
        return {diagnosis["subject"].get("namespace", "") for diagnosis in json.loads(text).get("diagnoses", [])}


def check_strangers(url, folder):
    stranger = Client(url, folder)
    for path in ["/", f"/d/{OWN}", "/node/n1", "/workload/shop/Deployment/web", "/events", "/?q=web"]:
        status, headers, text = stranger.ask(path)
        assert status == 303 and headers["location"].startswith("/login?next="), (path, status)
        status, _, text = stranger.ask(path, accept="application/json")
        assert status == 401 and "web" not in text, (path, status, text)
    assert stranger.ask("/login")[0] == 200
    for token in ["", "made-up", "token-of-n1", "a b", "\r\nx: y", "x" * 20_000]:
        status, _, cookies, _ = stranger.login(token)
        assert status in (400, 401) and not cookies, (token[:20], status)
    for forged in ["", "00", "a" * 64, "jane-token"]:
        assert stranger.ask("/", cookie=f"__Host-coroner={forged}")[0] == 303
    # What only a proxy may send, from another client.
    assert (
        stranger.ask("/", accept="application/json", x_remote_user="admin", x_remote_group="system:masters")[0] == 401
    )
    status, _, cookies, _ = stranger.login("jane-token", sec_fetch_site="cross-site")
    assert status == 403 and not cookies


def check_user(url, folder):
    jane = Client(url, folder)
    status, headers, cookies, _ = jane.login("jane-token", next="//evil.example/")
    assert status == 303 and headers["location"] == "/", headers["location"]
    for part in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"]:
        assert part in cookies[0], cookies
    assert "jane-token" not in cookies[0]
    check_of_jane(jane)
    # By the header, as programs have it.
    program = Client(url, folder)
    program.headers["authorization"] = "Bearer jane-token"
    check_of_jane(program)
    admin = Client(url, folder)
    admin.login("admin-token")
    assert admin.namespaces() == {"shop", "vault"}
    assert admin.ask(f"/d/{FOREIGN}")[0] == 200 and "vault" in admin.ask("/events?since=1h")[2] + admin.ask("/")[2]
    assert json.loads(admin.ask("/node/n1", accept="application/json")[2])["status"]["node"] == "n1"
    assert "boot-of-n1" in admin.ask("/node/n1")[2] and "why-n1-sees-less" in admin.ask("/node/n1")[2]
    for client, sees_text in [(admin, True), (jane, False)]:
        text = client.ask("/")[2]
        assert "1 gap:" in text or "gaps:" in text, "the gap is not drawn"
        assert ("lines about vault" in text) == sees_text
    # A session ends where its user ends it.
    kept = dict(jane.headers)
    status, headers, _ = jane.ask("/logout", "POST")
    assert status == 303 and "Max-Age=0" in headers["set-cookie"]
    jane.headers = kept
    assert jane.ask("/")[0] == 303


def check_of_jane(jane):
    assert jane.namespaces() == {"shop"} and jane.namespaces("/?since=30d&ns=vault") == set()
    assert jane.ask(f"/d/{OWN}")[0] == 200
    for path in [f"/d/{FOREIGN}", "/workload/vault/Deployment/web"]:
        assert jane.ask(path)[0] == 404, path
    status, _, text = jane.ask("/node/n1", accept="application/json")
    node = json.loads(text)
    assert status == 200 and node["status"] is None
    assert {diagnosis["subject"]["namespace"] for diagnosis in node["list"]["diagnoses"]} == {"shop"}
    for path in [
        "/?since=30d",
        f"/d/{OWN}",
        f"/d/{OWN}?as=text",
        f"/d/{OWN}?as=json",
        "/node/n1",
        "/workload/shop/Deployment/web",
    ]:
        text = jane.ask(path)[2]
        assert not any(foreign in text for foreign in ("vault", "boot-of-n1", "why-n1-sees-less")), path
    # From the oldest record on: the token of a new ledger's beginning.
    page = jane.ask("/")[2]
    token = page.split('data-events="')[1].split("after=")[1].split("&")[0]
    beginning = token[:34] + "0" * 32
    events = jane.ask(f"/events?after={beginning}")[2]
    assert OWN in events and FOREIGN not in events and "vault" not in events, events


def check_certificates(url, folder):
    reader = Client(url, folder, "reader")
    assert reader.namespaces() == {"shop", "vault"}
    reader.headers["x-remote-user"] = "jane"
    assert reader.namespaces() == {"shop", "vault"}, "it is no proxy"
    proxy = Client(url, folder, "proxy")
    assert proxy.ask("/", accept="application/json")[0] == 401
    for headers in [
        {"x-remote-user": "system:admin"},
        {"x-remote-user": "jane", "x-remote-group": "system:masters"},
        {"x-remote-user": ""},
    ]:
        proxy.headers = headers
        assert proxy.ask("/", accept="application/json")[0] == 401, headers
    proxy.headers = {"x-remote-user": "jane"}
    check_of_jane(proxy)


def check_browser(url):
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = chromium.new_context(ignore_https_errors=True).new_page()
        page.goto(f"{url}/d/{OWN}")
        assert "/login?next=" in page.url
        page.fill("#token", "made-up")
        page.click("main [type=submit]")
        assert page.locator("[role=alert]").is_visible()
        page.fill("#token", "jane-token")
        page.click("main [type=submit]")
        page.wait_for_url(f"**/d/{OWN}")
        assert page.locator("h1").inner_text() == "number 1"
        assert page.evaluate("document.cookie") == "" or "__Host-coroner" not in page.evaluate("document.cookie")
        page.goto(url + "/?since=30d")
        page.wait_for_selector("#live.on")
        assert page.locator(".caller").inner_text() == "jane"
        page.click("header form button")
        page.wait_for_url("**/login")
        page.goto(url + "/")
        assert "/login" in page.url
        chromium.close()


def main():
    url, folder = sys.argv[1:]
    check_strangers(url, folder)
    check_user(url, folder)
    check_certificates(url, folder)
    check_browser(url)


if __name__ == "__main__":
    main()
