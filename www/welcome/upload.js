// Sends files to the inbox with the IETF's protocol for resumable uploads: create an upload, append
// to it, and after an interruption ask how much has come and go on from there. The bar shows what the
// server has, not what the browser has sent.
'use strict';

const INBOX = '/inbox/';
const PROGRESS = '/progress';
const LONGEST_PAUSE = 15;

const form = document.querySelector('form');
const input = document.querySelector('#files');
const summary = document.querySelector('#summary');
const queue = [];
let running = false;

document.documentElement.classList.add('scripted');

// A file on its way, with its line on the page.
class Parcel {
  constructor(file) {
    const line = document.querySelector('#parcel').content.cloneNode(true);
    this.file = file;
    this.line = line.querySelector('li');
    this.bar = this.line.querySelector('progress');
    this.state = this.line.querySelector('.state');
    this.button = this.line.querySelector('button');
    this.button.onclick = () => this.cancel();
    this.line.querySelector('.name').textContent = file.name;
    this.offset = 0;
    this.show('waiting');
    document.querySelector('#parcels').append(line);
  }

  show(text) { this.state.textContent = text; }

  arrived(bytes) {
    const share = this.file.size ? bytes / this.file.size : 1;
    this.bar.value = Math.max(this.bar.value, share);
    this.show(`${Math.floor(this.bar.value * 100)} % of ${size(this.file.size)}`);
  }

  end(kind, text) {
    this.line.classList.add(kind);
    this.button.remove();
    this.show(text);
  }

  cancel() {
    this.cancelled = true;
    this.request?.abort();
    if (this.url) fetch(this.url, {method: 'DELETE'}).catch(() => {});
    this.end('failed', 'cancelled');
  }

  async send() {
    for (let pause = 1; !this.cancelled; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        if (!this.url) await this.create();
        else if (this.broken) await this.ask();
        this.broken = false;
        const stored = await this.append();
        if (stored) return this.deliver(stored);
        pause = 1;
      } catch (error) {
        if (this.cancelled) return;
        if (error instanceof Refused) return this.end('failed', error.message);
        this.broken = true;
        this.show(`interrupted, trying again in ${pause} s`);
        await new Promise(resolve => setTimeout(resolve, pause * 1000));
      }
    }
  }

  // Begins an upload, without content: browsers don't let pages see interim responses.
  async create() {
    const name = encodeURIComponent(this.file.name).replace(/['()*]/g, c => '%' + c.charCodeAt(0).toString(16));
    const response = await ask('POST', INBOX, {
      'Upload-Complete': '?0',
      'Upload-Length': this.file.size,
      'Content-Disposition': `attachment; filename*=UTF-8''${name}`,
    });
    this.url = response.headers.get('Location');
    const limits = response.headers.get('Upload-Limit') ?? '';
    this.most = Number(/max-append-size=(\d+)/.exec(limits)?.[1] ?? Infinity);
  }

  // How much has come.
  async ask() {
    const response = await ask('HEAD', this.url, {});
    this.offset = Number(response.headers.get('Upload-Offset'));
  }

  // Sends the next piece; what was stored, if it was the last.
  async append() {
    const end = Math.min(this.offset + this.most, this.file.size);
    const isLast = end === this.file.size;
    const id = crypto.getRandomValues(new Uint32Array(4)).join('-');
    const watch = setInterval(() => this.look(id), 250);
    try {
      const request = await this.patch(this.file.slice(this.offset, end), {
        'Content-Type': 'application/partial-upload',
        'Upload-Offset': this.offset,
        'Upload-Complete': isLast ? '?1' : '?0',
        'X-Progress-ID': id,
      });
      this.offset = end;
      this.arrived(end);
      return isLast && JSON.parse(request.responseText);
    } finally {
      clearInterval(watch);
    }
  }

  // Asks the server how much of the current piece it has.
  async look(id) {
    const offset = this.offset;
    const response = await fetch(PROGRESS, {headers: {'X-Progress-ID': id}}).catch(() => null);
    const report = response?.ok ? await response.json() : {};
    if (report.state === 'uploading' && offset === this.offset) this.arrived(offset + report.received);
  }

  // Like fetch, but memory does not grow with the piece.
  patch(piece, headers) {
    const request = this.request = new XMLHttpRequest();
    request.open('PATCH', this.url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    return new Promise((resolve, reject) => {
      const interrupted = () => reject(new Error('interrupted'));
      request.onerror = request.onabort = interrupted;
      request.onload = () => {
        // Browsers repeat requests by themselves when a connection breaks: the offset is wrong then.
        if (request.status === 409 && request.getResponseHeader('Upload-Offset')) interrupted();
        else if (request.status < 300) resolve(request);
        else reject(failure(request.status));
      };
      request.send(piece);
    });
  }

  deliver([stored]) {
    this.bar.value = 1;
    this.end('done', `${size(stored.size)}, SHA-256 ${stored.sha256.slice(0, 12)}…`);
    this.state.title = stored.sha256;
    const link = document.createElement('a');
    link.href = stored.url;
    link.textContent = stored.name;
    this.line.querySelector('.name').replaceChildren(link);
  }
}

// An answer that trying again does not change.
class Refused extends Error {}

function failure(status) {
  const reasons = {
    403: 'you may not send files here',
    404: 'the server does not know the upload any more',
    409: 'a file of that name is there already',
    413: 'too large for this server',
    507: 'the server has no room left',
  };
  if (status in reasons) return new Refused(reasons[status]);
  return status < 500 ? new Refused(`refused (${status})`) : new Error(`failed (${status})`);
}

async function ask(method, url, headers) {
  const response = await fetch(url, {method, headers});
  if (!response.ok) throw failure(response.status);
  return response;
}

function size(bytes) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit++; }
  return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
}

function take(files) {
  for (const file of files) queue.push(new Parcel(file));
  run();
}

async function run() {
  if (running) return;
  running = true;
  for (let parcel; (parcel = queue.shift());) if (!parcel.cancelled) await parcel.send();
  running = false;
  const stored = document.querySelectorAll('#parcels .done').length;
  summary.textContent = stored === 1 ? 'One file is in the inbox.' : `${stored} files are in the inbox.`;
}

input.onchange = () => { take(input.files); form.reset(); };
form.onsubmit = event => { event.preventDefault(); take(input.files); form.reset(); };
addEventListener('dragover', event => { event.preventDefault(); form.classList.add('over'); });
addEventListener('dragleave', event => { if (!event.relatedTarget) form.classList.remove('over'); });
addEventListener('drop', event => {
  event.preventDefault();
  form.classList.remove('over');
  take(event.dataTransfer.files);
});
