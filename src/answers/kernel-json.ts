export { kernelIdentity as kernelJson } from '../kernel/identity.js';
