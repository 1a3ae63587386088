// A process without a port. It ends between two pieces of work, never within one.
'use strict';

const PAUSE_MILLIS = 10 * 1000;

let timer;

function work() {
  console.log(`worker ${process.env.DYNO || ''} did a piece of work`);
  timer = setTimeout(work, PAUSE_MILLIS);
}

process.on('SIGTERM', () => {
  clearTimeout(timer);
  console.log('worker ends');
});

work();
