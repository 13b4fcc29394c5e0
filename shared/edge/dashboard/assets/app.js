// What pages can do besides, where scripts run: copy, count, and say that they are at work. Nothing here is needed.
'use strict';

const make = (text, label) => {
	const button = document.createElement('button');
	button.type = 'button';
	button.className = 'copy';
	button.textContent = text;
	button.setAttribute('aria-label', label);
	return button;
};

const copies = (button, text) => {
	button.addEventListener('click', async () => {
		const before = button.textContent;
		try {
			await navigator.clipboard.writeText(text());
			button.textContent = 'Copied';
		} catch {
			button.textContent = 'Select and copy by hand';
		}
		setTimeout(() => { button.textContent = before; }, 1600);
	});
};

for (const code of document.querySelectorAll('code[data-copy]')) {
	const around = document.createElement('span');
	around.className = 'copied';
	code.replaceWith(around);
	const button = make('Copy', 'Copy ' + code.dataset.copy.slice(0, 8));
	around.append(code, button);
	copies(button, () => code.dataset.copy);
}

for (const area of document.querySelectorAll('textarea[data-copy-field]')) {
	const label = document.querySelector(`label[for="${area.id}"]`);
	const button = make('Copy', 'Copy ' + label.textContent);
	label.append(' ', button);
	copies(button, () => area.value);
}

// A second click on the way would be told that the form was used; better not to make one.
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
