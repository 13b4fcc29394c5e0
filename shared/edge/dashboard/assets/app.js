// What pages can do besides, where scripts run: copy, count, and say that they are at work. Nothing here is needed.
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
