// What pages can also do where scripts run: copy, count, and say that they are at work. Nothing here is needed.
'use strict';

const drawing = {
	copy: ['M9 9h10v11H9z', 'M15 9V4H5v11h4'],
	done: ['M5 12.500l4.500 4.500L19.500 7'],
};

const draw = (button, name) => {
	const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
	svg.setAttribute('class', 'icon');
	svg.setAttribute('viewBox', '0 0 24 24');
	svg.setAttribute('aria-hidden', 'true');
	for (const d of drawing[name]) {
		const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
		path.setAttribute('d', d);
		svg.append(path);
	}
	button.replaceChildren(svg);
};

const copying = (label, text) => {
	const button = document.createElement('button');
	button.type = 'button';
	button.className = 'copy';
	button.title = 'Copy';
	const say = (words) => button.setAttribute('aria-label', words);
	say(label);
	draw(button, 'copy');
	button.addEventListener('click', async () => {
		try {
			await navigator.clipboard.writeText(text());
			draw(button, 'done');
			say('Copied');
		} catch {
			say('The browser does not let this page copy: select it and copy by hand');
			button.title = 'Select it and copy by hand';
		}
		setTimeout(() => { draw(button, 'copy'); say(label); }, 1600);
	});
	return button;
};

// Times are sent in UTC. Here they become those of the browser's zone, and UTC stands behind them.
const written = {
	day: { day: 'numeric', month: 'short', year: 'numeric' },
	moment: { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' },
	clock: { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' },
	hour: { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', timeZoneName: 'short' },
};

const inZone = (form, at) => new Intl.DateTimeFormat('en-GB', written[form]).format(at);

for (const time of document.querySelectorAll('time[data-as]')) {
	const at = new Date(time.dateTime);
	if (isNaN(at)) { continue; }
	const utc = time.title || time.textContent;
	if (time.dataset.as === 'ago') {
		time.title = inZone('moment', at) + '\n' + utc;
		continue;
	}
	time.title = utc;
	if (time.dataset.as === 'hour') {
		const hour = 3600000;
		time.textContent = new Intl.DateTimeFormat('en-GB', written.hour).formatRange(at, new Date(at.getTime() + hour));
		continue;
	}
	time.textContent = inZone(time.dataset.as, at);
}

for (const head of document.querySelectorAll('[data-zone]')) {
	const zone = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' }).formatToParts().find((p) => p.type === 'timeZoneName');
	head.textContent = head.textContent.replace('UTC', zone.value);
}

// The key "/" goes to the search of the page, or to that of the agents.
document.addEventListener('keydown', (event) => {
	if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) { return; }
	if (event.target.closest('input, select, textarea, [contenteditable]')) { return; }
	const search = document.querySelector('main input[type=search]');
	const agents = document.querySelector('.side nav a[href$="/proxy/agents"]');
	if (!search && !agents) { return; }
	event.preventDefault();
	if (search) {
		search.focus();
		search.select();
		return;
	}
	location.assign(agents.href + '#q');
});

for (const code of document.querySelectorAll('code[data-copy]')) {
	const around = document.createElement('span');
	around.className = 'copied';
	code.replaceWith(around);
	around.append(code, copying('Copy ' + code.dataset.copy.slice(0, 64), () => code.dataset.copy));
}

for (const area of document.querySelectorAll('textarea[data-copy-field]')) {
	const label = document.querySelector(`label[for="${area.id}"]`);
	label.after(copying('Copy ' + label.textContent, () => area.value));
}

// A second click in the meantime would get the answer that the form was used, so the script prevents it.
for (const form of document.querySelectorAll('form')) {
	form.addEventListener('submit', (event) => {
		const button = event.submitter;
		if (!button || !button.dataset.busy) { return; }
		button.textContent = button.dataset.busy;
		setTimeout(() => { button.disabled = true; }, 0);
	});
}

const wrong = document.querySelector('[aria-invalid]');
if (wrong) { wrong.focus(); }

for (const bar of document.querySelectorAll('[data-live]')) {
	const progress = bar.querySelector('progress');
	let every = 5000;
	const look = async () => {
		try {
			const answer = await fetch(bar.dataset.live, { redirect: 'error', headers: { Accept: 'application/json' } });
			const now = await answer.json();
			if (now.known) {
				progress.value = now.percent;
				bar.querySelector('[data-live-percent]').textContent = now.percent + ' %';
				const text = bar.querySelector('[data-live-text]');
				if (text.textContent !== now.text) { text.textContent = now.text; }
				for (const cell of bar.querySelectorAll('[data-live-moved]')) {
					cell.textContent = now.methods[cell.dataset.liveMoved] ?? cell.textContent;
				}
				for (const cell of now.left > 0 ? [] : bar.querySelectorAll('[data-live-rest]')) { cell.textContent = '–'; }
			}
			every = now.left > 0 ? 5000 : 30000;
		} catch {
			every = Math.min(every * 2, 120000);
		}
		setTimeout(next, every);
	};
	const next = () => {
		if (!document.hidden) { look(); return; }
		document.addEventListener('visibilitychange', look, { once: true });
	};
	setTimeout(next, every);
}

// A selection: one box for all of the page, and a button that says how many.
const boxes = [...document.querySelectorAll('input[form=bulk][name=id]')];
const rotate = document.querySelector('[data-selected]');
if (rotate && boxes.length > 0) {
	const all = document.querySelector('[data-all]');
	const every = all.querySelector('input');
	const count = () => {
		const chosen = boxes.filter((b) => b.checked).length;
		rotate.disabled = chosen === 0;
		rotate.textContent = chosen > 0 ? `Rotate ${chosen} selected` : 'Rotate selected';
		every.checked = chosen === boxes.length;
		every.indeterminate = chosen > 0 && chosen < boxes.length;
	};
	all.hidden = false;
	every.addEventListener('change', () => { for (const b of boxes) { b.checked = every.checked; } count(); });
	for (const b of boxes) { b.addEventListener('change', count); }
	addEventListener('pageshow', count);
	count();
}

// An order that is carried out: its numbers change together, and the page is loaded again at its end.
for (const panel of document.querySelectorAll('[data-job]')) {
	const look = async () => {
		try {
			const answer = await fetch(panel.dataset.job, { redirect: 'error', headers: { Accept: 'application/json' } });
			const now = await answer.json();
			if (!now.open) { location.reload(); return; }
			panel.querySelector('progress').value = now.percent;
			panel.querySelector('[data-job-text]').textContent = now.text;
			for (const n of panel.querySelectorAll('[data-job-count]')) { n.textContent = now[n.dataset.jobCount]; }
		} catch {
			// the next look may work
		}
		setTimeout(look, 5000);
	};
	setTimeout(look, 5000);
}
