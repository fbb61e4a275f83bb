// Loaded before the Playground (node --require). It calls server.listen(port), which means every interface of the
// machine, and it answers anybody: here every listening socket is bound to this machine only.
const net = require('node:net');

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (first, ...rest) {
  if (typeof first === 'number' || (typeof first === 'string' && /^\d+$/.test(first))) {
    const others = rest.filter((argument) => typeof argument === 'function' || typeof argument === 'number');
    return listen.call(this, Number(first), '127.0.0.1', ...others);
  }
  if (first && typeof first === 'object' && 'port' in first) {
    return listen.call(this, { ...first, host: '127.0.0.1' }, ...rest);
  }
  return listen.call(this, first, ...rest);
};
