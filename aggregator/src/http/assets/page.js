// What a browser adds to the page: new rows as they arrive, keys, and copying. Everything else works without.
'use strict';

(() => {
  const byId = (id) => document.getElementById(id);
  const MAX_GROUPS = 500;

  // Copying.
  const copied = (button) => {
    const text = button.textContent;
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = text; }, 1500);
  };
  for (const button of document.querySelectorAll('[data-copy], [data-copy-from]')) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener('click', async () => {
      const from = button.dataset.copyFrom;
      const text = from ? await (await fetch(from)).text() : button.dataset.copy;
      await navigator.clipboard.writeText(text);
      copied(button);
    });
  }

  // Keys.
  const entries = () => [...document.querySelectorAll('.headline, .beside .row a, .verdicts .row a')];
  const move = (by) => {
    const all = entries();
    const at = all.indexOf(document.activeElement);
    const to = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
    if (to) to.focus();
  };
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest('input, select, textarea')) {
      if (event.key === 'Escape') event.target.blur();
      return;
    }
    if (byId('keys').open && event.key !== '?') return;
    const search = byId('search');
    if (event.key === '/' && search) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === '?') {
      const keys = byId('keys');
      if (keys.open) keys.close(); else keys.showModal();
    } else if (event.key === 'j') move(1);
    else if (event.key === 'k') move(-1);
    else if (event.key === 'g' || (event.key === '/' && !search)) location.href = '/';
  });

  // A choice in a filter is an answer to its question.
  const filters = byId('filters');
  if (filters) {
    for (const select of filters.querySelectorAll('select')) {
      select.addEventListener('change', () => filters.requestSubmit());
    }
    // Addresses without what asks for nothing.
    filters.addEventListener('submit', () => {
      for (const field of filters.elements) if (!field.value || (field.name === 'since' && field.value === '24h')) field.disabled = true;
    });
    addEventListener('pageshow', () => { for (const field of filters.elements) field.disabled = false; });
  }

  // What arrives.
  const address = document.body.dataset.events;
  const groups = byId('groups');
  if (!address || !groups) return;
  const sign = byId('live');
  const show = (state) => {
    sign.textContent = sign.dataset[state];
    sign.classList.toggle('on', state === 'live');
  };

  // The axis and the nodes in trouble are drawn by the server: they are asked for again some time after something has arrived.
  let due = null;
  const redraw = () => {
    if (due) return;
    due = setTimeout(async () => {
      due = null;
      if (document.hidden) return;
      const answer = await fetch(location.href, { headers: { accept: 'text/html' } }).catch(() => null);
      if (!answer || !answer.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const id of ['timeline', 'pinned']) {
        const part = fresh.getElementById(id);
        if (part && !byId(id).querySelector('details[open]')) byId(id).replaceWith(document.adoptNode(part));
      }
    }, 10000 + Math.random() * 5000);
  };

  const take = (group) => {
    const row = group.querySelector('.row');
    const known = row && groups.querySelector('.row[data-uid="' + CSS.escape(row.dataset.uid) + '"]');
    const place = groups.querySelector('.group[data-group="' + CSS.escape(group.dataset.group) + '"]');
    // A revision of another cause moves to another group.
    if (known) {
      const old = known.closest('.group');
      known.remove();
      if (old !== place) count(old);
    }
    if (place && place.isConnected) {
      const rows = place.querySelector('.rows');
      rows.prepend(row);
      place.querySelector('.lead').replaceWith(group.querySelector('.lead'));
      place.classList.remove('new');
      void place.offsetWidth;
      place.classList.add('new');
      groups.prepend(place);
      count(place);
    } else {
      group.classList.add('new');
      groups.prepend(group);
    }
  };
  const count = (group) => {
    const rows = group.querySelectorAll('.row').length;
    if (rows === 0) { group.remove(); return; }
    group.querySelector('.count').textContent = rows;
    group.querySelector('details').hidden = rows === 1;
  };

  let source = null;
  let last = '';
  const open = () => {
    if (source) return;
    // One that was closed while the page was hidden goes on where it was.
    const url = new URL(address, location.href);
    if (last) url.searchParams.set('after', last);
    source = new EventSource(url);
    source.addEventListener('rows', (event) => {
      last = event.lastEventId;
      const fragment = new DOMParser().parseFromString(event.data, 'text/html');
      // A reader of a list keeps the place: focus stays where it is.
      const focused = document.activeElement;
      for (const group of [...fragment.querySelectorAll('.group')]) take(document.adoptNode(group));
      if (focused && focused.isConnected) focused.focus({ preventScroll: true });
      while (groups.children.length > MAX_GROUPS) groups.lastElementChild.remove();
      const empty = byId('empty');
      if (empty) empty.remove();
      redraw();
    });
    source.addEventListener('gap', (event) => { last = event.lastEventId; redraw(); });
    source.addEventListener('live', (event) => { last = event.lastEventId; show('live'); });
    source.addEventListener('open', () => show('live'));
    source.addEventListener('error', () => {
      if (source.readyState !== EventSource.CLOSED) { show('lost'); return; }
      // Refused: there are as many streams as there may be, or the session has ended.
      show('ended');
      source = null;
      setTimeout(() => { if (!document.hidden) open(); }, 15000);
    });
  };
  // A hidden page holds no stream: there are only so many, and a browser has few connections to one host.
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) open();
    else if (source) { source.close(); source = null; }
  });
  open();
})();
