/**
 * `<haggle-chat>`: one conversation. It shows what a `Conversation` holds and passes on what its person does.
 *
 * @import { Conversation, HaggleClient, HaggleError } from '../haggle.js'
 * @import { Listed } from '../haggle/types.js'
 */
import { Composer } from './composer.js';
import { conversationOf } from './context.js';
import { h, icon, setAttribute, write } from './dom.js';
import { drawing, HaggleElement } from './element.js';
import { Messages } from './messages.js';
import { avatar, heading, nameNodes, peers } from './people.js';
import { chat } from './styles/chat.js';
import { clean, inSentence, shownName } from './text.js';

/** Announcements kept for screen readers. */
const ANNOUNCED_MAX = 20;
/** Messages at once above which a screen reader hears how many, and not each. */
const SPOKEN_MAX = 3;
/** How much of the messages must be in sight for them to count as seen. */
const SEEN_SHARE = 0.5;

export class HaggleChat extends HaggleElement {
  /** @override */
  static observedAttributes = [...HaggleElement.observedAttributes, 'conversation', 'read-when'];
  /** @override */
  static sheets = [chat];
  /** @type {ChatView | null} */
  #view = null;

  /** The conversation's id or key. */
  get conversation() {
    return this.getAttribute('conversation') ?? '';
  }

  set conversation(ref) {
    setAttribute(this, 'conversation', ref);
  }

  /** How many messages here are unread. */
  get unread() {
    return this.#view?.unread ?? 0;
  }

  /**
   * To where a message is written.
   *
   * @override
   */
  focus() {
    this.#view?.focus();
  }

  /**
   * @param {HTMLElement} frame
   * @param {{client: HaggleClient, isShared: boolean}} held
   * @param {AbortSignal} signal
   * @override
   */
  build(frame, { client, isShared }, signal) {
    this.#view = null;
    if (this.conversation === '') return frame.append(h('div', { class: 'chat' }, h('p', { class: 'empty' }, this.locale.say('choose'))));
    const ref = /^\d+$/.test(this.conversation) ? Number(this.conversation) : this.conversation;
    const { conversation, release } = conversationOf(client, ref, isShared);
    signal.addEventListener('abort', release);
    this.#view = new ChatView(this, frame, client, conversation, signal, (type, detail) => this.tell(type, detail));
  }
}

/** @type {WeakMap<HaggleClient, Map<number | string, string>>} */
const drafts = new WeakMap();

/**
 * What was begun and not sent, by conversation: whoever looks at another one meanwhile finds it again.
 *
 * @param {HaggleClient} client
 */
function draftsOf(client) {
  const held = drafts.get(client) ?? new Map();
  drafts.set(client, held);
  return held;
}

class ChatView {
  #host;
  #client;
  #conversation;
  #signal;
  #tell;
  #locale;
  #section;
  #composer;
  #messages;
  #parts = {
    head: h('header', { class: 'head' }),
    scroll: h('div', { class: 'scroll', tabindex: 0, role: 'group' }),
    list: h('ol', { class: 'messages', role: 'list' }),
    empty: h('p', { class: 'empty' }),
    jump: h('button', { type: 'button', class: 'jump', hidden: true }),
    jumpCount: h('span', { class: 'jump-count' }),
    typing: h('p', { class: 'typing' }),
    dots: h('span', { class: 'dots', 'aria-hidden': 'true', hidden: true }, h('i'), h('i'), h('i')),
    typist: h('span'),
    notice: h('div', { class: 'notice', role: 'status' }),
    announcer: h('div', { class: 'sr', role: 'log', 'aria-live': 'polite' }),
  };
  #drawSoon;
  /** @type {Listed | null} */
  #details = null;
  /** @type {HaggleError | undefined} */
  #trouble;
  #wasLive = false;
  #isSeen = false;
  #lastUnread = 0;
  /** @type {string[]} */
  #toSay = [];
  #headDrawn = '';

  /**
   * @param {HaggleChat} host
   * @param {HTMLElement} frame
   * @param {HaggleClient} client
   * @param {Conversation} conversation
   * @param {AbortSignal} signal
   * @param {(type: string, detail: unknown) => boolean} tell
   */
  constructor(host, frame, client, conversation, signal, tell) {
    this.#host = host;
    this.#client = client;
    this.#conversation = conversation;
    // Another element may have asked for it before.
    this.#trouble = conversation.trouble;
    this.#signal = signal;
    this.#tell = tell;
    this.#locale = host.locale;
    this.#composer = new Composer({
      locale: this.#locale, signal, drafts: draftsOf(client), ref: conversation.ref, send: (text) => this.#send(text), typing: (on) => conversation.typing(on),
    });
    this.#messages = new Messages(this.#parts.scroll, this.#parts.list, conversation, this.#locale);
    signal.addEventListener('abort', () => this.#messages.close());
    this.#section = this.#assemble();
    frame.append(this.#section);
    this.#drawSoon = drawing(() => this.#draw(), signal);
    this.#listen();
    this.#draw();
  }

  get unread() {
    return this.#conversation.unread;
  }

  focus() {
    this.#composer.focus();
  }

  #assemble() {
    const { head, scroll, list, empty, jump, jumpCount, typing, dots, typist, notice, announcer } = this.#parts;
    scroll.append(empty, list);
    scroll.setAttribute('aria-label', this.#locale.say('messages'));
    jump.setAttribute('aria-label', this.#locale.say('jump'));
    jump.append(icon('down'), jumpCount);
    typing.append(dots, typist);
    return h('div', { class: 'chat', role: 'group' }, head, h('div', { class: 'view' }, scroll, jump), typing, notice, this.#composer.element, announcer);
  }

  #listen() {
    const { scroll, list, jump, notice } = this.#parts;
    const signal = this.#signal;
    const offs = [
      this.#client.on('state', ({ error }) => this.#became(error)),
      this.#conversation.on('change', () => this.#drawSoon()),
      this.#conversation.on('error', (error) => {
        this.#trouble = error;
        this.#drawSoon();
      }),
      this.#conversation.on('message', ({ message }) => this.#heard(message)),
    ];
    signal.addEventListener('abort', () => offs.forEach((off) => off()));
    scroll.addEventListener('scroll', () => this.#scrolled(), { passive: true, signal });
    scroll.addEventListener('keydown', (event) => {
      if (event.key === 'End' && event.target === scroll) this.#jump();
    }, { signal });
    list.addEventListener('click', (event) => this.#acted(/** @type {Element} */ (event.target)), { signal });
    jump.addEventListener('click', () => {
      this.#jump();
      this.#composer.focus();
    }, { signal });
    notice.addEventListener('click', (event) => {
      if (/** @type {Element} */ (event.target).closest('button')) this.#client.connect();
    }, { signal });
    this.#host.addEventListener('focusin', () => this.#attend(), { signal });
    window.addEventListener('focus', () => this.#attend(), { signal });
    document.addEventListener('visibilitychange', () => this.#attend(), { signal });
    this.#watch(scroll, signal);
  }

  /**
   * @param {HTMLElement} scroll
   * @param {AbortSignal} signal
   */
  #watch(scroll, signal) {
    // A growing composer or a phone's keyboard takes room from the messages: the newest stays in sight.
    const size = new ResizeObserver(() => this.#messages.keepEnd());
    size.observe(scroll);
    const sight = new IntersectionObserver(([entry]) => {
      this.#isSeen = entry?.isIntersecting === true;
      this.#attend();
    }, { threshold: SEEN_SHARE });
    sight.observe(scroll);
    signal.addEventListener('abort', () => {
      size.disconnect();
      sight.disconnect();
    });
  }

  /** @param {HaggleError} [error] */
  #became(error) {
    this.#trouble = error;
    this.#drawSoon();
  }

  /** @param {import('../haggle/types.js').Message} message */
  #heard(message) {
    const name = shownName(message.sender.id, message.sender.name, this.#conversation.participants);
    this.#toSay.push(`${inSentence(name)}: ${message.body}`);
    this.#tell('haggle-message', { message });
    this.#drawSoon();
  }

  /** @param {string} text */
  #send(text) {
    this.#messages.dividedAfter = null;
    this.#conversation.send(text);
    this.#jump();
  }

  #jump() {
    this.#messages.jump();
    this.#attend();
    this.#drawJump();
  }

  /** @param {Element} target */
  #acted(target) {
    const act = target.closest('button')?.dataset.act;
    const clientId = /** @type {HTMLElement | null} */ (target.closest('.message'))?.dataset.clientId;
    if (!clientId) return;
    if (act === 'retry') this.#conversation.retry(clientId);
    if (act === 'discard') this.#conversation.discard(clientId);
    if (act) this.#composer.focus();
  }

  #scrolled() {
    this.#messages.scrolled();
    this.#attend();
    this.#drawJump();
  }

  /** Whether somebody looks at the newest message. */
  get #isAttended() {
    if (!this.#messages.isPlaced || !document.hasFocus() || document.visibilityState !== 'visible') return false;
    if (!this.#isSeen || !this.#messages.atEnd) return false;
    return this.#host.getAttribute('read-when') !== 'focus' || this.#host.matches(':focus-within');
  }

  /** Whoever looks at the newest message has read it. */
  #attend() {
    if (this.#conversation.joined && this.#isAttended) this.#conversation.read();
  }

  #draw() {
    const { state, user } = this.#client;
    this.#wasLive ||= state === 'live';
    this.#section.dataset.state = state;
    this.#askDetails();
    this.#drawHead();
    this.#divide();
    // First: it takes room, and the messages are placed by what is above them.
    this.#drawEmpty();
    this.#messages.draw(user?.user_id ?? '');
    this.#drawTyping();
    this.#drawNotice();
    this.#attend();
    this.#drawJump();
    this.#announce();
    const { unread } = this.#conversation;
    if (unread !== this.#lastUnread) this.#tell('haggle-unread', { unread });
    this.#lastUnread = unread;
  }

  /** The title comes with the first connection. */
  #askDetails() {
    if (this.#details || !this.#conversation.joined || this.#conversation.id === null) return;
    // Asked once: a header without a title is no reason to ask again.
    this.#details = /** @type {Listed} */ ({ title: null, subject: null });
    this.#client.details(this.#conversation.id).then((details) => {
      this.#details = details;
      this.#drawSoon();
    }, () => {});
  }

  #drawHead() {
    const me = this.#client.user?.user_id;
    const others = peers(this.#conversation.participants, me);
    const title = this.#host.getAttribute('heading') ?? this.#details?.title ?? this.#details?.subject?.title;
    const name = heading(others, title, this.#locale);
    const presence = this.#presence(others);
    const about = others.length === 1 || clean(title ?? '') !== name.text ? clean(title ?? '') : '';
    const drawn = JSON.stringify([name, presence, about]);
    if (drawn === this.#headDrawn) return;
    this.#headDrawn = drawn;
    const spoken = inSentence(name);
    this.#section.setAttribute('aria-label', others.length ? this.#locale.say('chatWith', { name: spoken }) : this.#locale.say('chat'));
    this.#composer.addressee(others.length === 1 ? spoken : '');
    const id = others.length === 1 ? (others[0]?.user_id ?? '') : name.text;
    this.#parts.head.replaceChildren(
      h('slot', { name: 'start' }),
      avatar(id, name.text),
      h('div', { class: 'who' },
        h('p', { class: 'title', dir: 'auto' }, ...nameNodes(name)),
        h('p', { class: 'under' },
          presence.text ? h('span', { class: 'presence', 'data-online': presence.online }, presence.text) : null,
          about ? h('bdi', { class: 'about' }, about) : null)),
      h('slot', { name: 'end' }),
    );
  }

  /** @param {ReturnType<typeof peers>} others */
  #presence(others) {
    const [first] = others;
    if (!this.#conversation.joined || !first) return { online: false, text: '' };
    const online = others.filter((one) => one.online);
    if (online.length > 0) return { online: true, text: this.#locale.say('online') };
    const seen = others.length === 1 && first.last_seen;
    return { online: false, text: seen ? this.#locale.say('lastSeen', { time: this.#locale.moment(seen) }) : this.#locale.say('offline') };
  }

  /** The divider stands where reading ended when news began to come unseen, and stays there for as long as it helps. */
  #divide() {
    const { unread, readSeq, joined } = this.#conversation;
    const isNews = joined && unread > 0 && this.#lastUnread === 0;
    if (isNews && !this.#isAttended) this.#messages.dividedAfter = readSeq;
  }

  #drawEmpty() {
    const { empty } = this.#parts;
    const { newest, pending } = this.#conversation;
    const { state } = this.#client;
    const { loaded } = this.#conversation;
    empty.hidden = newest !== undefined || pending.length > 0 || this.#isAbsent || (state === 'refused' && !loaded);
    write(empty, this.#locale.say(loaded ? 'empty' : state === 'live' ? 'loading' : 'connecting'));
  }

  /** Whether the server says that there is no such conversation. */
  get #isAbsent() {
    return this.#client.state === 'live' && this.#trouble !== undefined;
  }

  #drawTyping() {
    const { writers, participants } = this.#conversation;
    const [first] = writers;
    this.#parts.dots.hidden = writers.length === 0;
    if (first === undefined) return write(this.#parts.typist, '');
    const name = inSentence(shownName(first.user_id, first.name, participants));
    write(this.#parts.typist, writers.length > 1 ? this.#locale.say('severalTyping') : this.#locale.say('typing', { name }));
  }

  #drawNotice() {
    const { notice } = this.#parts;
    const text = this.#notice();
    const shown = notice.querySelector('p')?.textContent ?? '';
    this.#composer.open(this.#client.state !== 'refused' && !this.#isAbsent);
    if (text === shown) return;
    if (text === '') return notice.replaceChildren();
    const isAbsent = this.#isAbsent;
    notice.replaceChildren(h('p', {}, text), ...(isAbsent ? [] : [h('button', { type: 'button' }, this.#locale.say('tryNow'))]));
  }

  #notice() {
    const { state } = this.#client;
    if (state === 'refused') return this.#locale.say('refused');
    if (state === 'live') return this.#isAbsent ? this.#locale.say('absent') : '';
    if (this.#wasLive) return this.#locale.say('away');
    return state === 'offline' ? this.#locale.say('connecting') : '';
  }

  #drawJump() {
    const { jump, jumpCount } = this.#parts;
    const { unread } = this.#conversation;
    jump.hidden = this.#messages.atEnd || this.#messages.isEmpty;
    write(jumpCount, unread === 0 ? '' : this.#locale.badge(unread));
    const label = this.#locale.say('jump');
    setAttribute(jump, 'aria-label', unread === 0 ? label : `${label}, ${this.#locale.count('unread', unread)}`);
  }

  #announce() {
    const { announcer } = this.#parts;
    const said = this.#toSay.length > SPOKEN_MAX ? [this.#locale.count('arrived', this.#toSay.length)] : this.#toSay;
    this.#toSay = [];
    announcer.append(...said.map((text) => h('p', {}, text)));
    while (announcer.childElementCount > ANNOUNCED_MAX) announcer.firstElementChild?.remove();
  }
}
